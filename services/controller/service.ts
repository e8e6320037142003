import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import { filesBelow } from "../shared/base/files-below.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { filterSamples } from "../shared/flow/history/filter-samples.js";
import type { RunHistory } from "../shared/flow/history/run-history.js";
import { thin } from "../shared/flow/history/thin.js";
import { auditRun } from "../shared/flow/ledger/audit-run.js";
import { openSendable } from "../shared/flow/weights/sendable.js";
import { ControllerService, type ReadFiguresRequest } from "../shared/gen/retort/v1/controller_pb.js";
import type { WeightsManifest } from "../shared/gen/retort/v1/flow_pb.js";
import type { Run } from "../shared/gen/retort/v1/run_pb.js";
import { isWeightsFile, weightsFilesOf } from "../shared/ml/models/checkpoint/open.js";
import { publishedFiles } from "../shared/ml/models/trainable.js";
import { validateRun } from "./check/validate-run.js";
import type { ControllerContext } from "./runs/context.js";
import { listRuns } from "./runs/list-runs.js";
import { startRun } from "./runs/start-run.js";
import { deleteRun, pauseRun, resumeRun, stopRun } from "./runs/steer.js";
import { hasModel, modelOf } from "./runs/storage.js";
import { described, watchRun } from "./runs/watch.js";

const chunkBytes = 1024 * 1024;

/** ControllerService: runs are started, watched and stopped here. The state is NATS's; this holds none. */
export function controllerService(context: () => ControllerContext): Implementation {
  return implement(ControllerService, {
    startRun: (request) => startRun(context(), request),
    validateRun: ({ spec }) => validateRun(spec, context().roots),
    getRun: async ({ runId }) => ({ run: await described(context(), await context().runs.get(runId)) }),
    listRuns: (request) => listRuns(context(), request),
    watchRun: ({ runId, fromSequence }, { signal }) => watchRun(context(), runId, Number(fromSequence), signal),
    pauseRun: async ({ runId }) => ({ run: await pauseRun(context(), runId) }),
    resumeRun: async ({ runId }) => ({ run: await resumeRun(context(), runId) }),
    stopRun: async ({ runId, now }) => ({ run: await stopRun(context(), runId, now) }),
    deleteRun: async ({ runId }) => ({ freedBytes: BigInt(await deleteRun(context(), runId)) }),
    auditRun: async ({ runId }) => ({ audit: await auditRun(context().streams, await context().runs.get(runId)) }),
    readFigures: (request) => readFigures(context(), request),
    listSamples: async ({ runId, limit, ...filter }) => {
      const { samples } = await historyOf(context(), runId);
      return { steps: filterSamples(samples, filter, limit || 50) };
    },
    readLogs: async ({ runId, role, maxBytes }) => {
      await context().runs.get(runId);
      return { logs: await context().logs(runId, role, maxBytes || 65_536) };
    },
    getWeights: ({ runId, version, best }) => (best ? sendBest(context(), runId, version) : sendWeights(context(), runId, version)),
  });
}

/** What the events of a run say. @throws NotFound if there is none of this id */
async function historyOf({ runs, histories }: ControllerContext, runId: string): Promise<RunHistory> {
  await runs.get(runId);
  return histories.of(runId);
}

async function readFigures(context: ControllerContext, { runId, names, maxPoints, afterStep }: ReadFiguresRequest) {
  const { figures, step: lastStep } = await historyOf(context, runId);
  const wanted = names.length ? names : [...figures.keys()];
  const thinned = wanted.flatMap((name) => {
    const series = figures.get(name);
    return series ? [{ name, ...thin(series, maxPoints || 1000, afterStep) }] : [];
  });
  return { figures: thinned, lastStep };
}

/**
 * The trained student's files, or those of the newest checkpoint of a run that is over without; without either, or when a
 * version is named, that version's, with config and tokenizer.
 */
async function* sendWeights({ runs, store }: ControllerContext, runId: string, version: number | undefined) {
  const run = await runs.get(runId);
  const model = version === undefined ? await modelOf(run) : undefined;
  if (model) {
    const step = model === run.checkpoint?.path ? run.checkpoint.step : run.step;
    return yield* sendDirectory(model, { runId, version: step, fence: run.fence });
  }
  if (version === undefined && run.output) throw await outOfReach(run);
  const directory = store.holding(runId, `export-${randomUUID()}`);
  try {
    const manifest = await fetchVersion({ runs, store }, runId, version, directory);
    yield { part: { case: "manifest" as const, value: manifest } };
    for (const name of await filesBelow(directory))
      yield* sendFile(name, createReadStream(join(directory, name), { highWaterMark: chunkBytes }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The checkpoint with the best evaluation. */
async function* sendBest({ runs }: ControllerContext, runId: string, version: number | undefined) {
  if (version !== undefined)
    throw new RetortError("InvalidArgument", `best is true and version is ${version}; give one of them`, { fieldPath: "best" });
  const { best, fence } = await runs.get(runId);
  if (!best)
    throw new RetortError(
      "NotFound",
      `run ${runId} has no best checkpoint: its spec keeps none (evaluation.keepBest), or nothing was evaluated yet`,
    );
  if (!(await hasModel(best.path)))
    throw new RetortError("NotFound", `the best checkpoint of run ${runId}, ${best.path}, cannot be read here`);
  yield* sendDirectory(best.path, { runId, version: best.step, fence });
}

async function* sendDirectory(directory: string, version: Pick<WeightsManifest, "runId" | "version" | "fence">) {
  const sendable = await openSendable(directory);
  try {
    const files = sendable.map(({ name, bytes }) => ({ name, sizeBytes: BigInt(bytes) }));
    yield { part: { case: "manifest" as const, value: { ...version, files } } };
    for (const { name, file } of sendable) yield* sendFile(name, file.createReadStream({ highWaterMark: chunkBytes, autoClose: false }));
  } finally {
    for (const { file } of sendable) await file.close();
  }
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

/** How often the newest version may be replaced while it is read. */
const maxReads = 10;

/** Brings the files of a version into a directory, where they stay while they are sent, whatever the learner deletes. */
async function fetchVersion(
  { runs, store }: Pick<ControllerContext, "runs" | "store">,
  runId: string,
  version: number | undefined,
  directory: string,
): Promise<WeightsManifest> {
  for (let reads = 1; ; reads++) {
    const wanted = version ?? (await runs.policy(runId))?.version;
    if (wanted === undefined) throw new RetortError("NotFound", `run ${runId} has no weights yet`);
    try {
      await rm(directory, { recursive: true, force: true });
      const manifest = await store.manifest(runId, wanted);
      if (!manifest)
        throw new RetortError("NotFound", `run ${runId} does not keep version ${wanted}; kept: ${(await store.list(runId)).join(", ")}`);
      // Config and tokenizer come with version 0; a later one's weights take the place of its. Of an adapter that is all: its
      // base model is where it was.
      const first = (await store.manifest(runId, 0)) ?? manifest;
      const weights = weightsFilesOf(first.files.map(({ name }) => name));
      const isAdapter = weights[0] === publishedFiles.adapter;
      const isSent = (name: string) => !isAdapter || (!isWeightsFile(name) && name !== "config.json");
      await store.fetch(runId, 0, directory, (name) => isSent(name) && !weights.includes(name));
      return await store.fetch(runId, wanted, directory, isSent);
    } catch (error) {
      // The learner deletes old versions; there is a newer one then.
      if (version !== undefined || reads === maxReads || RetortError.from(error).code !== "NotFound") throw error;
    }
  }
}

async function* sendFile(name: string, source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  let offset = 0;
  for await (const data of source) {
    yield { part: { case: "chunk" as const, value: { name, offset: BigInt(offset), data: data as Uint8Array<ArrayBuffer> } } };
    offset += data.length;
  }
}
