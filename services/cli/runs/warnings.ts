import { type Problem, problemText } from "../../shared/base/errors.js";

/** Says on standard error what is unusual about a spec. */
export const sayWarnings = (warnings: readonly Problem[]): void => {
  for (const warning of warnings) console.error(`warning: ${problemText(warning)}`);
};

/** A warning as `--json` prints it: named as gRPC names it, with its place in the file. */
export const warningJson = ({ fieldPath, description, place }: Problem) => ({ field: fieldPath, message: description, place });
