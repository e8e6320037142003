import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { filterSamples } from "../shared/flow/history/filter-samples.js";
import type { RunHistory } from "../shared/flow/history/run-history.js";
import { thin } from "../shared/flow/history/thin.js";
import { auditRun } from "../shared/flow/ledger/audit-run.js";
import { ControllerService, type ReadFiguresRequest } from "../shared/gen/retort/v1/controller_pb.js";
import { validateRun } from "./check/validate-run.js";
import type { ControllerContext } from "./runs/context.js";
import { findReference } from "./runs/find-reference.js";
import { listRuns } from "./runs/list-runs.js";
import { processesOf } from "./runs/processes.js";
import { sendWeights } from "./runs/send-weights.js";
import { startRun } from "./runs/start-run.js";
import { deleteRun, pauseRun, resumeRun, stopRun } from "./runs/steer.js";
import { described, watchRun } from "./runs/watch.js";
import { uploadHandlers } from "./upload-handlers.js";

/** ControllerService: runs are started, watched and stopped here. The state is NATS's; this holds none. */
export function controllerService(context: () => ControllerContext): Implementation {
  return implement(ControllerService, {
    startRun: (request, { caller }) => startRun(context(), request, caller),
    validateRun: ({ spec }) => validateRun(spec, context().place, findReference(context())),
    getRun: async ({ runId }) => ({ run: await described(context(), await context().runs.get(runId)) }),
    listRuns: (request) => listRuns(context(), request),
    watchRun: ({ runId, fromSequence }, { signal }) => watchRun(context(), runId, Number(fromSequence), signal),
    pauseRun: async ({ runId }, { caller }) => ({ run: await pauseRun(context(), runId, caller) }),
    resumeRun: async ({ runId }, { caller }) => ({ run: await resumeRun(context(), runId, caller) }),
    stopRun: async ({ runId, now }, { caller }) => ({ run: await stopRun(context(), runId, now, caller) }),
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
    getWeights: (request, { caller }) => sendWeights(context(), request, caller),
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
