import type { Problem } from "../../shared/base/errors.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { deviceProblem } from "../../shared/ml/models/device-limits.js";
import type { NamedModel } from "./named-model.js";

/** Roles whose device is known not to run the model that they are given: the student's is the learner's too. */
export function deviceProblems({ roles }: RunSpecValid, student: NamedModel | undefined, teachers: readonly NamedModel[]): Problem[] {
  const students = student ? [student] : [];
  const models = { student: students, teacher: teachers, learner: students } as const;
  return (["student", "teacher", "learner"] as const).flatMap((role) => {
    const device = roles?.[role]?.device;
    if (!device) return [];
    return models[role].flatMap((model) => {
      const problem = deviceProblem(model, device);
      return problem ? [{ fieldPath: `roles.${role}.device`, description: `${model.name}: ${problem}` }] : [];
    });
  });
}
