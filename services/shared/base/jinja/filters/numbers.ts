import { raise, TemplateFault } from "../fault.js";
import { fixed, roundFloat, roundInt } from "../formats/decimal.js";
import { parseFloatText, parseIntText } from "../formats/parse-number.js";
import { binary } from "../operators/arithmetic.js";
import { truth } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { toFloat } from "../values/numbers.js";
import { floatRepr } from "../values/repr.js";
import { isUndefined } from "../values/undefined.js";
import { given, typeName, type Value } from "../values/value.js";
import { type Filter, filter, whole } from "./filter.js";

function number(value: Value): bigint | number | undefined {
  if (typeof value === "boolean") return BigInt(value);
  return typeof value === "bigint" || typeof value === "number" ? value : undefined;
}

function abs(value: Value): Value {
  const size = number(value) ?? raise("TypeError", `bad operand type for abs(): '${typeName(value)}'`);
  return size < 0 || Object.is(size, -0) ? -size : size;
}

/** Python's float(); raises TypeError and ValueError. */
function float(value: Value): number {
  if (isUndefined(value)) return value.fail();
  if (typeof value === "string" || value instanceof Markup) return parseFloatText(value instanceof Markup ? value.text : value);
  const size = number(value) ?? raise("TypeError", `float() argument must be a string or a real number, not '${typeName(value)}'`);
  return toFloat(size);
}

/** Python's int() of a float. */
function truncated(value: number): bigint {
  if (Number.isNaN(value)) raise("ValueError", "cannot convert float NaN to integer");
  if (!Number.isFinite(value)) raise("OverflowError", "cannot convert float infinity to integer");
  return BigInt(Math.trunc(value));
}

/** The result, or what stands in for it where Python raises one of these. */
function rescued(kinds: readonly string[], run: () => Value, instead: () => Value): Value {
  try {
    return run();
  } catch (error) {
    if (error instanceof TemplateFault && kinds.includes(error.kind)) return instead();
    throw error;
  }
}

function toInt(value: Value, [otherwise, base]: readonly (Value | undefined)[]): Value {
  const text = value instanceof Markup ? value.text : value;
  const direct = () => {
    if (typeof text === "string") return parseIntText(text, whole(base, 10));
    return typeof text === "number" ? truncated(text) : (number(text) ?? truncated(float(text)));
  };
  const viaFloat = () =>
    rescued(
      ["TypeError", "ValueError", "OverflowError"],
      () => truncated(float(text)),
      () => given(otherwise, () => 0n),
    );
  return rescued(["TypeError", "ValueError"], direct, viaFloat);
}

function round(value: Value, [precision, method]: readonly (Value | undefined)[]): Value {
  const how = method ?? "common";
  if (how !== "common" && how !== "ceil" && how !== "floor") raise("FilterArgumentError", "method must be common, ceil or floor");
  if (isUndefined(value)) return how === "common" ? raise("TypeError", "type Undefined doesn't define __round__ method") : value.fail();
  const size = number(value) ?? raise("TypeError", `type ${typeName(value)} doesn't define __round__ method`);
  if (how !== "common") {
    const unit = binary(
      "**",
      10n,
      given(precision, () => 0n),
    );
    const scaled = binary("*", size, unit);
    const rounded = typeof scaled === "number" ? truncated(how === "ceil" ? Math.ceil(scaled) : Math.floor(scaled)) : scaled;
    return binary("/", rounded, unit);
  }
  if (precision === null) return typeof size === "bigint" ? size : truncated(roundFloat(size, 0));
  return typeof size === "bigint" ? roundInt(size, whole(precision, 0)) : roundFloat(size, whole(precision, 0));
}

function fileSize(value: Value, [binarySizes]: readonly (Value | undefined)[]): string {
  const bytes = float(value);
  const isBinary = binarySizes !== undefined && truth(binarySizes);
  const base = isBinary ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (!Number.isFinite(bytes) && !(bytes < 0)) return `${floatRepr(bytes)} ${isBinary ? "YiB" : "YB"}`;
  if (bytes < base) return `${truncated(bytes)} Bytes`;
  const prefixes = "kMGTPEZY";
  let index = 0;
  while (index < prefixes.length - 1 && bytes >= base ** (index + 2)) index++;
  const size = (base * bytes) / base ** (index + 2);
  return `${fixed(size, 1)} ${isBinary ? `${prefixes[index]!.toUpperCase()}i` : prefixes[index]}B`;
}

/** Filters of numbers. */
export const numberFilters: Readonly<Record<string, Filter>> = {
  abs: filter([], abs),
  filesizeformat: filter(["binary"], fileSize),
  float: filter(["default"], (value, [otherwise]) =>
    rescued(
      ["TypeError", "ValueError"],
      () => float(value),
      () => given(otherwise, () => 0),
    ),
  ),
  int: filter(["default", "base"], toInt),
  round: filter(["precision", "method"], round),
};
