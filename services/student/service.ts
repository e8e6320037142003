import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { sampleSeed } from "../shared/flow/prompts/plan.js";
import { type SamplingModel, samplePieces } from "../shared/flow/rollouts/sample-stream.js";
import { resolveSampling } from "../shared/flow/runs/resolve.js";
import { StudentService } from "../shared/gen/retort/v1/student_pb.js";

/** What the service says about the process. */
export interface StudentStatus {
  readonly runId: string;
  readonly policyVersion: number;
  readonly tasksDone: bigint;
  readonly tokensSampled: bigint;
}

/** StudentService over a model. */
export function studentService(model: SamplingModel, status: () => StudentStatus): Implementation {
  return implement(StudentService, {
    sample: (request, { signal }) => samplePieces(model, request, resolveSampling(request.sampling), sampleSeed, signal),
    getStatus: async () => status(),
  });
}
