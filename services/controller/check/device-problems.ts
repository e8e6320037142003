import type { Problem } from "../../shared/base/errors.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { deviceProblem } from "../../shared/ml/models/device-limits.js";
import { refusal } from "../../shared/ml/runtime/refused-devices.js";
import type { NamedModel } from "./named-model.js";

/**
 * Roles whose device is refused on every machine, or is known not to run the model that they are given: the student's is the
 * learner's too.
 */
export function deviceProblems({ roles }: RunSpecValid, student: NamedModel | undefined, teachers: readonly NamedModel[]): Problem[] {
  const students = student ? [student] : [];
  const models = { student: students, teacher: teachers, learner: students, reward: [] } as const;
  return (["student", "teacher", "learner", "reward"] as const).flatMap((role) => {
    const device = roles?.[role]?.device;
    if (!device) return [];
    const fieldPath = `roles.${role}.device`;
    const reason = refusal(device);
    if (reason) return [{ fieldPath, description: `device ${device} is refused: ${reason}` }];
    return models[role].flatMap((model) => {
      const problem = deviceProblem(model, device);
      return problem ? [{ fieldPath, description: `${model.name}: ${problem}` }] : [];
    });
  });
}
