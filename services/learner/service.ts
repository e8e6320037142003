import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import {
  LearnerService,
  type SaveResponseSchema,
  type StepRequestValid,
  type StepResponseSchema,
} from "../shared/gen/retort/v1/learner_pb.js";

/** What the service says and does. */
export interface LearnerHandle {
  readonly runId: string;
  /** Where it is. */
  status(): { readonly step: number; readonly totalSteps: number; readonly activity: string };
  step(request: StepRequestValid): Promise<MessageInitShape<typeof StepResponseSchema>>;
  save(path: string): Promise<MessageInitShape<typeof SaveResponseSchema>>;
}

/** LearnerService over a learner. Training on a given batch is for learners that stand alone. */
export function learnerService(learner: LearnerHandle): Implementation {
  return implement(LearnerService, {
    getStatus: async () => ({ runId: learner.runId, ...learner.status() }),
    step: async (request) => {
      if (learner.runId)
        throw new RetortError(
          "FailedPrecondition",
          `this learner serves run ${learner.runId}; start one without --run to train on batches of your own`,
        );
      return learner.step(request);
    },
    save: ({ path }) => learner.save(path),
  });
}
