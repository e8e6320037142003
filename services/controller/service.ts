import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { type Problem, RetortError } from "../shared/base/errors.js";
import { chunksOf } from "../shared/base/file-bytes.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import type { Streams } from "../shared/base/streams/connection.js";
import { changedSince, publishEvent, watchEvents } from "../shared/flow/runs/events.js";
import { resolveRun } from "../shared/flow/runs/resolve.js";
import { isOver, newRun, type RunStore } from "../shared/flow/runs/state.js";
import type { WeightStore } from "../shared/flow/weights/store.js";
import { ControllerService } from "../shared/gen/retort/v1/controller_pb.js";
import { type Run, type RunSpec, RunState } from "../shared/gen/retort/v1/run_pb.js";
import { modelProblems, settle, specProblems } from "./inspection.js";
import { checkGoing, type Supervisor } from "./supervisor.js";

export interface ControllerContext {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: WeightStore;
  readonly supervisor: Supervisor;
  readonly now: () => Date;
}

const chunkBytes = 1024 * 1024;

/** ControllerService: runs are started, watched and stopped here. The state is NATS's; this holds none. */
export function controllerService(context: () => ControllerContext): Implementation {
  return implement(ControllerService, {
    startRun: async ({ spec }) => ({ run: await startRun(context(), spec!) }),
    validateRun: async ({ spec }) => {
      const problems = (await problemsOf(spec!)).map(({ fieldPath, description }) => ({ field: fieldPath, message: description }));
      return { problems, warnings: problems.length ? [] : [...(await settle(spec!)).warnings] };
    },
    getRun: async ({ runId }) => ({ run: await context().runs.get(runId) }),
    listRuns: async () => ({ runs: await context().runs.list() }),
    watchRun: ({ runId, fromSequence }, { signal }) => watchRun(context(), runId, Number(fromSequence), signal),
    pauseRun: async ({ runId }) => ({ run: await steer(context(), runId, "pause") }),
    resumeRun: async ({ runId }) => ({ run: await resumeRun(context(), runId) }),
    stopRun: async ({ runId }) => ({ run: await steer(context(), runId, "stop") }),
    deleteRun: async () => Promise.reject(new RetortError("Unimplemented", "not yet")),
    auditRun: async () => Promise.reject(new RetortError("Unimplemented", "not yet")),
    getWeights: ({ runId, version }) => sendWeights(context(), runId, version),
  });
}

async function problemsOf(spec: RunSpec): Promise<Problem[]> {
  const problems = await specProblems(spec);
  return problems.length ? problems : modelProblems(spec);
}

async function startRun({ streams, runs, supervisor, now }: ControllerContext, given: RunSpec): Promise<Run> {
  const problems = await problemsOf(given);
  if (problems.length) throw RetortError.ofProblems("the run spec", problems);
  const { spec, warnings } = await settle(given);
  const stamp = now().toISOString().replace(/[-:]/g, "").slice(2, 15).replace("T", "-");
  const run = newRun({
    runId: `${spec.name}-${stamp}-${Math.random().toString(36).slice(2, 5)}`,
    spec,
    state: RunState.PENDING,
    created: timestampNow(),
    totalSteps: resolveRun(spec).totalSteps,
  });
  await runs.create(run);
  for (const [i, { field, message }] of warnings.entries())
    await publishEvent(streams, run.runId, { case: "warning", value: { message: `${field}: ${message}` } }, `warning/${i}`);
  await runs.setControl(run.runId, "run");
  await supervisor.launch(run);
  return run;
}

async function* watchRun({ streams, runs }: ControllerContext, runId: string, fromSequence: number, signal: AbortSignal) {
  await runs.get(runId);
  for await (const event of watchEvents(streams, runId, fromSequence, signal)) {
    yield { event };
    if (event.event.case !== "stateChanged" || !isOver(event.event.value.state)) continue;
    // A run that was resumed has an end in the middle of its events.
    if (isOver((await runs.get(runId)).state) && !(await changedSince(streams, runId, event.sequence))) return;
  }
}

async function steer({ runs, streams }: ControllerContext, runId: string, control: "pause" | "stop"): Promise<Run> {
  checkGoing(await runs.get(runId), control === "pause" ? "paused" : "stopped");
  await runs.setControl(runId, control);
  if (control === "pause") return runs.get(runId);
  const run = await runs.update(runId, (next) => {
    if (isOver(next.state)) return false;
    next.state = RunState.STOPPING;
    return true;
  });
  await publishEvent(streams, runId, { case: "stateChanged", value: { state: RunState.STOPPING, message: "" } }, `stopping/${run.fence}`);
  return run;
}

async function resumeRun({ runs, supervisor }: ControllerContext, runId: string): Promise<Run> {
  const before = await runs.get(runId);
  if (before.state === RunState.SUCCEEDED)
    throw new RetortError("FailedPrecondition", `run ${runId} has succeeded; there is nothing to resume`);
  await runs.setControl(runId, "run");
  if (!isOver(before.state)) return before;
  const run = await runs.update(runId, (next) => {
    Object.assign(next, { state: RunState.PENDING, message: "", finished: undefined });
    return true;
  });
  await supervisor.launch(run);
  return run;
}

/** The trained student's files; without one, or when a version is named, that version's, with config and tokenizer. */
async function* sendWeights({ runs, store }: ControllerContext, runId: string, version: number | undefined) {
  const run = await runs.get(runId);
  if (version === undefined && run.output) {
    const names = (await readdir(run.output).catch((error: NodeJS.ErrnoException) => Promise.reject(outOfReach(run, error)))).sort();
    const files = await Promise.all(names.map(async (name) => ({ name, sizeBytes: BigInt((await stat(join(run.output, name))).size) })));
    yield { part: { case: "manifest" as const, value: { runId, version: run.step, fence: run.fence, files } } };
    for (const name of names) yield* sendFile(name, createReadStream(join(run.output, name), { highWaterMark: chunkBytes }));
    return;
  }
  const { manifest, files } = await readVersion({ runs, store }, runId, version);
  yield { part: { case: "manifest" as const, value: manifest } };
  for (const [name, bytes] of files) yield* sendFile(name, chunksOf(bytes, chunkBytes));
}

/** Where pods share no volume, the learner's directory is not the controller's. */
const outOfReach = ({ runId, output, step }: Run, { code }: NodeJS.ErrnoException): RetortError =>
  new RetortError(
    "NotFound",
    `the student of run ${runId} is in ${output}, which the controller cannot read (${code}); give it the volume that the learner wrote to, or ask for version ${step}`,
  );

/** How often the newest version may be replaced while it is read. */
const maxReads = 10;

async function readVersion({ runs, store }: Pick<ControllerContext, "runs" | "store">, runId: string, version: number | undefined) {
  for (let reads = 1; ; reads++) {
    const wanted = version ?? (await runs.policy(runId))?.version;
    if (wanted === undefined) throw new RetortError("NotFound", `run ${runId} has no weights yet`);
    try {
      const manifest = await store.manifest(runId, wanted);
      if (!manifest)
        throw new RetortError("NotFound", `run ${runId} does not keep version ${wanted}; kept: ${(await store.list(runId)).join(", ")}`);
      // Config and tokenizer come with version 0; a later one's weights take the place of its.
      return { manifest, files: new Map([...(await store.get(runId, 0)), ...(await store.get(runId, wanted))]) };
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
