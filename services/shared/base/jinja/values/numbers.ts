import { raise } from "../fault.js";
import type { Value } from "./value.js";

/** Python's int or float. */
export type Numeric = bigint | number;

/** An int as float; raises OverflowError for one that is too large. */
export function toFloat(value: Numeric): number {
  const float = Number(value);
  return typeof value === "bigint" && !Number.isFinite(float) ? raise("OverflowError", "int too large to convert to float") : float;
}

/** A value as a number, truth values as 0 and 1; undefined if it is none. */
export function numeric(value: Value): Numeric | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "bigint" || typeof value === "number" ? value : undefined;
}
