import type { Problem } from "../../shared/base/errors.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** Roles that can't hold their weights in the dtype that they are given. */
export function dtypeProblems({ roles }: RunSpecValid): Problem[] {
  const problem = (role: string, description: string): Problem => ({ fieldPath: `roles.${role}.dtype`, description });
  const [student, learner, reward] = [roles?.student?.dtype, roles?.learner?.dtype, roles?.reward?.dtype];
  return [
    ...(student === "int8"
      ? [problem("student", "int8 is for teachers alone: a student's weights change with every version; give float32, float16 or bfloat16")]
      : []),
    ...(learner && learner !== "float32"
      ? [problem("learner", `a learner computes in float32, not ${learner}; leave it out, and give roles.teacher.dtype to save memory`)]
      : []),
    ...(reward && reward !== "float32" ? [problem("reward", `a classifier computes in float32, not ${reward}; leave it out`)] : []),
  ];
}
