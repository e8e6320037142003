import type { Problem } from "../../shared/base/errors.js";
import type { InitSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { freshProblems } from "../../shared/ml/models/fresh-config.js";

/** Settings of a student from scratch that its family does not have, each with the way out. */
export const familyProblems = (init: InitSpec): Problem[] =>
  freshProblems(init).map(({ field, description }) => ({ fieldPath: `student.init.${field}`, description }));
