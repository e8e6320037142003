import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { filesBelow } from "../../shared/base/files-below.js";
import { hashOpen } from "../../shared/base/hash-file.js";
import { anyone, type Caller } from "../../shared/base/rpc/caller.js";
import { isOfAverage } from "../../shared/flow/runs/follow.js";
import { openSendable } from "../../shared/flow/weights/sendable.js";
import type { GetWeightsRequest, GetWeightsResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import type { WeightsFile, WeightsManifest, WeightsManifestSchema } from "../../shared/gen/retort/v1/flow_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { isWeightsFile, weightsFilesOf } from "../../shared/ml/models/checkpoint/open.js";
import { publishedFiles } from "../../shared/ml/models/trainable.js";
import type { ControllerContext } from "./context.js";
import { checkOwner } from "./ownership.js";
import { checkpointSteps, hasModel, modelAfter, modelOf } from "./storage.js";

const chunkBytes = 1024 * 1024;

type Context = Pick<ControllerContext, "runs" | "store">;
type WeightsManifestInit = MessageInitShape<typeof WeightsManifestSchema>;
type Part = MessageInitShape<typeof GetWeightsResponseSchema>;
/** Which version, of which learner. */
type Version = Pick<WeightsManifest, "runId" | "version" | "fence">;

/**
 * The trained student's files, or those of the newest checkpoint of a run that is over without; without either that of the newest
 * version, with config and tokenizer. When a version is named, that one's, or those of the checkpoint of its step; or the best one's.
 */
export async function* sendWeights(context: Context, request: GetWeightsRequest, caller: Caller = anyone): AsyncGenerator<Part> {
  const { runId, version, best } = request;
  if (best && version !== undefined)
    throw new RetortError("InvalidArgument", `best is true and version is ${version}; give one of them`, { fieldPath: "best" });
  const run = await context.runs.get(runId);
  checkOwner(run, caller, "taken out");
  const stored = version === undefined || best ? undefined : await context.store.manifest(runId, version);
  const directory = stored ? undefined : await directoryOf(run, request);
  if (directory) return yield* sendDirectory(directory.path, { runId, version: directory.step, fence: run.fence }, request);
  if (version === undefined && run.output) throw await outOfReach(run);
  yield* sendVersion(context, run, request);
}

/** The directory on this machine that is asked for, if there is one. @throws NotFound if the best one is asked for, and there is none */
async function directoryOf(run: Run, { version, best }: GetWeightsRequest): Promise<{ path: string; step: number } | undefined> {
  if (best) return bestOf(run);
  const path = version === undefined ? await modelOf(run) : await modelAfter(run, version);
  return path === undefined ? undefined : { path, step: version ?? (path === run.checkpoint?.path ? run.checkpoint.step : run.step) };
}

/** The checkpoint with the best evaluation. @throws NotFound if there is none, or none to be read from here */
export async function bestOf({ runId, best }: Pick<Run, "runId" | "best">): Promise<{ path: string; step: number }> {
  if (!best)
    throw new RetortError(
      "NotFound",
      `run ${runId} has no best checkpoint: its spec keeps none (evaluation.keepBest), or nothing was evaluated yet`,
    );
  if (await hasModel(best.path)) return best;
  throw new RetortError("NotFound", `the best checkpoint of run ${runId}, ${best.path}, cannot be read here`);
}

async function* sendDirectory(directory: string, version: Version, { manifestOnly, files }: GetWeightsRequest) {
  const sendable = await openSendable(directory);
  try {
    const digest = async (file: FileHandle) => (manifestOnly ? hashOpen(file) : "");
    const listed: Pick<WeightsFile, "name" | "sizeBytes" | "digest">[] = [];
    for (const { name, bytes, file } of sendable) listed.push({ name, sizeBytes: BigInt(bytes), digest: await digest(file) });
    yield manifestPart({ ...version, files: listed });
    if (manifestOnly) return;
    const starts = startsOf(files);
    for (const { name, file } of sendable.filter(({ name }) => starts.wants(name))) {
      const start = starts.of(name);
      yield* sendFile(name, start, file.createReadStream({ start, highWaterMark: chunkBytes, autoClose: false }));
    }
  } finally {
    for (const { file } of sendable) await file.close();
  }
}

async function* sendVersion(context: Context, run: Run, { version, manifestOnly, files }: GetWeightsRequest): AsyncGenerator<Part> {
  const { runId } = run;
  const starts = startsOf(files);
  if (manifestOnly) return yield manifestPart((await newest(context, run, version, versionFiles)).manifest);
  const directory = context.store.holding(runId, `export-${randomUUID()}`);
  try {
    const fetched = await newest(context, run, version, async (own, wanted) => {
      await rm(directory, { recursive: true, force: true });
      const found = await versionFiles(own, wanted);
      await own.store.fetch(runId, 0, directory, (name) => found.isOfFirst(name) && starts.wants(name));
      await own.store.fetch(runId, wanted.version, directory, (name) => found.isOfVersion(name) && starts.wants(name));
      return found;
    });
    yield manifestPart(fetched.manifest);
    for (const name of await filesBelow(directory)) {
      const start = starts.of(name);
      yield* sendFile(name, start, createReadStream(join(directory, name), { start, highWaterMark: chunkBytes }));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Which files are asked for, and from which byte on. */
function startsOf(files: GetWeightsRequest["files"]) {
  const starts = new Map(files.map(({ name, offset }) => [name, Number(offset)]));
  return { wants: (name: string) => starts.size === 0 || starts.has(name), of: (name: string) => starts.get(name) ?? 0 };
}

interface VersionFiles {
  readonly manifest: WeightsManifest;
  readonly isOfFirst: (name: string) => boolean;
  readonly isOfVersion: (name: string) => boolean;
}

/**
 * The files of a version: config and tokenizer come with version 0; a later one's weights take the place of its. Of an adapter that is
 * all: its base model is where it was.
 */
async function versionFiles({ store }: Context, wanted: WeightsManifest): Promise<VersionFiles> {
  const first = (await store.manifest(wanted.runId, 0)) ?? wanted;
  const weights = weightsFilesOf(first.files.map(({ name }) => name));
  const isAdapter = weights[0] === publishedFiles.adapter;
  // What teachers have of it is no one else's.
  const isOfVersion = (name: string) => !isOfAverage(name) && (!isAdapter || (!isWeightsFile(name) && name !== "config.json"));
  const own = new Set(wanted.files.map(({ name }) => name));
  const isOfFirst = (name: string) => isOfVersion(name) && !weights.includes(name) && !own.has(name);
  const files = [...first.files.filter(({ name }) => isOfFirst(name)), ...wanted.files.filter(({ name }) => isOfVersion(name))];
  return { manifest: { ...wanted, files }, isOfFirst, isOfVersion };
}

/** How often the newest version may be replaced while it is read. */
const maxReads = 10;

/** Does something with a version, or with the newest; again where the learner has deleted that meanwhile: there is a newer one then. */
async function newest<T>(
  context: Context,
  run: Run,
  version: number | undefined,
  work: (context: Context, manifest: WeightsManifest) => Promise<T>,
): Promise<T> {
  const { runs, store } = context;
  const { runId } = run;
  for (let reads = 1; ; reads++) {
    const wanted = version ?? (await runs.policy(runId))?.version;
    if (wanted === undefined) throw new RetortError("NotFound", `run ${runId} has no weights yet`);
    try {
      const manifest = await store.manifest(runId, wanted);
      if (!manifest) throw await notKept(context, run, wanted);
      return await work(context, manifest);
    } catch (error) {
      if (version !== undefined || reads === maxReads || RetortError.from(error).code !== "NotFound") throw error;
    }
  }
}

async function notKept({ store }: Context, run: Run, version: number): Promise<RetortError> {
  const [versions, checkpoints] = [await store.list(run.runId), await checkpointSteps(run)];
  const saved = checkpoints.length ? `, and checkpoints of the steps ${checkpoints.join(", ")}` : "";
  return new RetortError("NotFound", `run ${run.runId} does not keep version ${version}; kept: ${versions.join(", ") || "none"}${saved}`);
}

/** Where pods share no volume, the learner's directory is not the controller's. */
async function outOfReach({ runId, output, step }: Run): Promise<RetortError> {
  const reason = await readdir(output).then(
    () => "it holds no model",
    ({ code }: NodeJS.ErrnoException) => code,
  );
  return new RetortError(
    "NotFound",
    `the student of run ${runId} is in ${output}, which the controller cannot read (${reason}); give it the volume that the learner wrote to, or ask for version ${step}`,
  );
}

const manifestPart = (value: WeightsManifestInit) => ({ part: { case: "manifest" as const, value } });

async function* sendFile(name: string, from: number, source: AsyncIterable<Uint8Array>) {
  let offset = from;
  for await (const data of source) {
    yield { part: { case: "chunk" as const, value: { name, offset: BigInt(offset), data: data as Uint8Array<ArrayBuffer> } } };
    offset += data.length;
  }
}
