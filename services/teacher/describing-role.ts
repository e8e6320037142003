import { RetortError } from "../shared/base/errors.js";
import { Roots } from "../shared/base/paths.js";
import type { RoleParts } from "../shared/base/role.js";
import { checkModelPath } from "../shared/flow/runs/base-model.js";
import type { DescribedTeacher, TeacherBackend } from "./backends/backend.js";
import type { TeacherSettings } from "./config.js";
import { type DescribeRequest, teacherService } from "./service.js";

/**
 * A teacher that says what models are and does nothing else (`--describe-only`): what the controller asks before a run
 * starts. Files are read at each call, so that what is wrong with them is the answer to it.
 */
export function describingTeacher(
  { model: own = "", roots }: Pick<TeacherSettings, "model" | "roots">,
  backend: TeacherBackend,
): RoleParts {
  const permitted = new Roots(roots, "--roots");
  const described = ({ model: named, server }: DescribeRequest): DescribedTeacher => {
    const model = named || own;
    if (!model) throw new RetortError("InvalidArgument", "model is missing; name the directory to describe", { fieldPath: "model" });
    return {
      facts: async (vocabulary) => {
        await checkModelPath(permitted, model, "model");
        return backend.describe({ model, server }).facts(vocabulary);
      },
    };
  };
  const opened = () => {
    throw new RetortError("FailedPrecondition", "this teacher was started with --describe-only; it scores and samples nothing");
  };
  return { before: [], implementations: [teacherService(described, opened)], after: [] };
}
