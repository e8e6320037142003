import { RetortError } from "../base/errors.js";
import type { SignalSpec } from "../gen/retort/v1/flow_pb.js";

const withK: readonly string[] = ["random_k", "student_top_k", "top_k"];

/**
 * Refuses fields of a signal that its kind does not read.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function checkSignalFields({ kind, k, hiddenDtype, temperature }: SignalSpec): void {
  const refuse = (field: string, value: unknown, why: string) => {
    throw new RetortError("InvalidArgument", `signal.${field} is ${value}; ${why}`, { fieldPath: `signal.${field}` });
  };
  if (k !== 0 && !withK.includes(kind)) refuse("k", k, `${kind} has none: leave it out, or ask for ${withK.join(", ")}`);
  if (hiddenDtype !== "" && kind !== "hidden") refuse("hiddenDtype", hiddenDtype, `${kind} sends no hidden states: leave it out`);
  if (!(temperature >= 1e-3 && temperature <= 1e3)) refuse("temperature", temperature, "it must lie in [0.001, 1000]");
}
