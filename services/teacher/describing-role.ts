import { RetortError } from "../shared/base/errors.js";
import type { RoleParts } from "../shared/base/role.js";
import type { TeacherBackend } from "./backends/backend.js";
import { teacherService } from "./service.js";

/**
 * A teacher that says what it is and does nothing else (`--describe-only`): what the controller asks before a run starts.
 * Its files are read at each call, so that what is wrong with them is the answer to Describe.
 *
 * @throws InvalidArgument without a model
 */
export function describingTeacher(model: string | undefined, backend: TeacherBackend): RoleParts {
  if (!model) throw new RetortError("InvalidArgument", "--describe-only needs --model DIR");
  const teacher = backend.describe(model);
  const opened = () => {
    throw new RetortError("FailedPrecondition", "this teacher was started with --describe-only; it scores and samples nothing");
  };
  return { before: [], implementations: [teacherService(() => teacher, opened)], after: [] };
}
