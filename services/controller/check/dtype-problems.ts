import type { Problem } from "../../shared/base/errors.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { StudentModel } from "./named-model.js";

/** Roles that can't hold their weights in the dtype that they are given. @param model the student; undefined where it could not be read */
export function dtypeProblems(spec: RunSpecValid, model: Pick<StudentModel, "adapted"> | undefined): Problem[] {
  const { roles } = spec;
  const problem = (role: string, description: string): Problem => ({ fieldPath: `roles.${role}.dtype`, description });
  const [student, learner, reward] = [roles?.student?.dtype, roles?.learner?.dtype, roles?.reward?.dtype];
  return [
    ...(student === "int8"
      ? [problem("student", "int8 is for teachers alone: a student's weights change with every version; give float32, float16 or bfloat16")]
      : []),
    ...learnerProblems(learner, spec, model).map((description) => problem("learner", description)),
    ...(reward && reward !== "float32" ? [problem("reward", `a classifier computes in float32, not ${reward}; leave it out`)] : []),
  ];
}

function learnerProblems(dtype: string | undefined, { student }: RunSpecValid, model: Pick<StudentModel, "adapted"> | undefined): string[] {
  if (!dtype || dtype === "float32") return [];
  if (dtype === "int8") return ["int8 is for teachers alone; give float32, float16 or bfloat16"];
  if (student?.lora || (model?.adapted ?? true)) return [];
  return [
    `a learner trains in float32, and here it trains all weights of the student; leave ${dtype} out, or train an adapter (student.lora), whose base may be held in it`,
  ];
}
