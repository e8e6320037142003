import { RetortError } from "../shared/base/errors.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import type { WorkerClient } from "../shared/base/workers.js";
import { checkModelPath } from "../shared/flow/runs/base-model.js";
import type { SpecRoots } from "../shared/flow/runs/paths.js";
import { LearnerService } from "../shared/gen/retort/v1/learner_pb.js";
import type { LearnerStatus } from "./context/run-context.js";
import type { TrainHost } from "./model/train-host.js";
import type { Standalone } from "./standalone/standalone.js";

/** What the service speaks for. */
export interface ServedLearner {
  /** Empty for a learner that stands alone. */
  readonly runId: string;
  readonly host: WorkerClient<TrainHost>;
  readonly standalone: Standalone;
  status(): LearnerStatus;
}

/** LearnerService over a learner. Training on a given batch is for learners that stand alone. @param roots where paths of callers may lie */
export function learnerService({ runId, host, standalone, status }: ServedLearner, { roots, outputRoots }: SpecRoots): Implementation {
  return implement(LearnerService, {
    getStatus: async () => ({ runId, ...status() }),
    step: async (request) => {
      if (runId)
        throw new RetortError(
          "FailedPrecondition",
          `this learner serves run ${runId}; start one without --run to train on batches of your own`,
        );
      if (request.teacherModel) await checkModelPath(roots, request.teacherModel, "teacherModel");
      return standalone.step(request);
    },
    save: async ({ path }) => {
      await outputRoots.check(path, "path");
      const saved = async () => ({ step: status().step, path, digest: (await host.save(path, true)).digest });
      return { checkpoint: await standalone.exclusive(saved) };
    },
  });
}
