import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../shared/base/errors.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { filterSamples } from "../shared/flow/history/filter-samples.js";
import type { RunHistory } from "../shared/flow/history/run-history.js";
import { thin } from "../shared/flow/history/thin.js";
import { auditRun } from "../shared/flow/ledger/audit-run.js";
import { announceStart, publishEvent } from "../shared/flow/runs/events.js";
import { isRunReference } from "../shared/flow/runs/run-reference.js";
import { newRun } from "../shared/flow/runs/run-store.js";
import { isUploadReference } from "../shared/flow/runs/upload-reference.js";
import { ControllerService, type ReadFiguresRequest } from "../shared/gen/retort/v1/controller_pb.js";
import { type Run, RunState } from "../shared/gen/retort/v1/run_pb.js";
import { type RunSpec, RunSpecSchema } from "../shared/gen/retort/v1/run_spec_pb.js";
import { checkRun, type Verdict } from "./check/inspector.js";
import { dereferenced, withReferences } from "./check/references.js";
import type { ControllerContext } from "./runs/context.js";
import { findModel } from "./runs/find-model.js";
import { processesOf } from "./runs/processes.js";
import { sendWeights } from "./runs/send-weights.js";
import { deleteRun, pauseRun, resumeRun, stopRun } from "./runs/steer.js";
import { described, listRuns, watchRun } from "./runs/watch.js";
import { uploadHandlers, uploadsOf } from "./upload-handlers.js";

/** ControllerService: runs are started, watched and stopped here. The state is NATS's; this holds none. */
export function controllerService(context: () => ControllerContext): Implementation {
  return implement(ControllerService, {
    startRun: async ({ spec }) => ({ run: await startRun(context(), spec) }),
    validateRun: async ({ spec }) => {
      const verdict = await check(context(), spec);
      if ("spec" in verdict) return { problems: [], warnings: [...verdict.warnings] };
      return { problems: verdict.problems.map(({ fieldPath, description }) => ({ field: fieldPath, message: description })), warnings: [] };
    },
    getRun: async ({ runId }) => ({ run: await described(context(), await context().runs.get(runId)) }),
    listRuns: async () => ({ runs: await listRuns(context()) }),
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
    readProcesses: async ({ runId }) => {
      const { streams, runs } = context();
      return processesOf(streams, await runs.get(runId), await historyOf(context(), runId));
    },
    readLogs: async ({ runId, role, maxBytes }) => {
      await context().runs.get(runId);
      return { logs: await context().logs(runId, role, maxBytes || 65_536) };
    },
    getWeights: (request) => sendWeights(context(), request),
    ...uploadHandlers(context),
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

/** Checks a spec, with paths in the place of what it refers to. */
async function check(context: ControllerContext, given: RunSpec = create(RunSpecSchema)): Promise<Verdict> {
  const { spec, problems } = await dereferenced(given, (named) => {
    if (isRunReference(named)) return findModel(context.runs, named);
    return isUploadReference(named) ? uploadsOf(context).find(named) : undefined;
  });
  const verdict = await checkRun(spec, context.roots);
  return problems.length === 0 ? verdict : { problems: withReferences("problems" in verdict ? verdict.problems : [], problems) };
}

async function startRun(context: ControllerContext, given: RunSpec | undefined): Promise<Run> {
  const { streams, runs, supervisor, now } = context;
  const verdict = await check(context, given);
  if ("problems" in verdict) throw RetortError.ofProblems("the run spec", verdict.problems);
  const { spec, warnings } = verdict;
  const stamp = now().toISOString().replace(/[-:]/g, "").slice(2, 15).replace("T", "-");
  const run = newRun({
    runId: `${spec.name}-${stamp}-${Math.random().toString(36).slice(2, 5)}`,
    spec,
    state: RunState.PENDING,
    created: timestampNow(),
    totalSteps: verdict.run.totalSteps,
  });
  await runs.create(run);
  try {
    await announceStart(streams, run.runId);
    for (const [i, { field, message }] of warnings.entries())
      await publishEvent(streams, run.runId, { case: "warning", value: { message: `${field}: ${message}` } }, `warning/${i}`);
  } catch (error) {
    // Its caller hears that it was not started: it must not start later.
    await runs.transition(run.runId, RunState.FAILED, `it was not started: ${RetortError.from(error).message}`);
    throw error;
  }
  await supervisor.launch(run);
  return run;
}
