import { RetortError } from "../../base/errors.js";
import { closedValues } from "./closed-values.js";

/** A field whose proto lists the texts that it may have, as `ObjectiveSpec.signal`. */
export type ClosedField = keyof typeof closedValues;

/** The texts that such a field may have: the union of its `in:` rule. */
export type Closed<F extends ClosedField> = (typeof closedValues)[F][number];

/** A text as one of those that a field may have. @throws InvalidArgument that lists them, for one that no rule has let through */
export function closedValue<F extends ClosedField>(field: F, text: string): Closed<F> {
  const known: readonly Closed<F>[] = closedValues[field];
  const value = known.find((one) => one === text);
  if (value !== undefined) return value;
  throw new RetortError("InvalidArgument", `${field} is "${text}"; it must be one of ${known.join(", ")}`, { fieldPath: field });
}
