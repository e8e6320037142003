import { handleSize, maxSize, spend } from "../budget.js";
import { raise, refuse } from "../fault.js";
import { characters, codePoints } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { toFloat } from "../values/numbers.js";
import { str } from "../values/repr.js";
import { typeName, type Value } from "../values/value.js";
import { formatFloat, grouped } from "./format-number.js";
import { codePoint } from "./format-percent.js";

interface Spec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly alternate: boolean;
  readonly zero: boolean;
  readonly width: number;
  readonly mark: string;
  readonly precision: number | undefined;
  readonly type: string;
}

const pattern = /^(?:(.)?([<>=^]))?([-+ ]?)(z?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([bcdeEfFgGnosxX%]?)$/su;

/** Python's format(value, spec). */
export function format(value: Value, spec: string): string {
  if (spec === "") return str(value);
  const text = value instanceof Markup ? value.text : value;
  if (typeof text === "object") return raise("TypeError", `unsupported format string passed to ${typeName(value)}.__format__`);
  const parsed = parseSpec(spec);
  if (typeof text === "string") return formatText(text, parsed);
  return formatNumber(typeof text === "boolean" ? BigInt(text) : text, parsed);
}

function parseSpec(spec: string): Spec {
  const match = pattern.exec(spec);
  if (match === null) return raise("ValueError", `Invalid format specifier '${spec}'`);
  const [, fill, align, sign = "", negativeZero, alternate, zero, width, mark = "", precision, type = ""] = match;
  if (negativeZero) refuse("z in a format specifier");
  spend(1 + Number(precision ?? 0) / 8);
  // Group marks are put in again for each zero that fills the width.
  if (Number(width) > (mark ? 2 ** 12 : maxSize) || Number(precision ?? 0) > 2 ** 16)
    raise("MemoryError", `the format specifier '${spec}' is beyond the limit`);
  return {
    fill: fill ?? (zero ? "0" : " "),
    align: align ?? "",
    sign,
    alternate: alternate === "#",
    zero: zero === "0",
    width: Number(width),
    mark,
    precision: precision === undefined ? undefined : Number(precision),
    type,
  };
}

function formatText(text: string, spec: Spec): string {
  const wrong = (what: string) => raise("ValueError", `${what} not allowed in string format specifier`);
  if (spec.type !== "" && spec.type !== "s") raise("ValueError", `Unknown format code '${spec.type}' for object of type 'str'`);
  if (spec.sign !== "") wrong("Sign");
  if (spec.alternate) wrong("Alternate form (#)");
  if (spec.align === "=") wrong("'=' alignment");
  if (spec.mark !== "") raise("ValueError", `Cannot specify '${spec.mark}' with 's'.`);
  const cut = spec.precision === undefined ? text : characters(text).slice(0, spec.precision).join("");
  return pad("", cut, { ...spec, align: spec.align || "<" });
}

function formatNumber(value: bigint | number, spec: Spec): string {
  const { type } = spec;
  if (typeof value === "number" && !"eEfFgGn%".includes(type))
    raise("ValueError", `Unknown format code '${type}' for object of type 'float'`);
  if (type === "s") raise("ValueError", "Unknown format code 's' for object of type 'int'");
  if (type === "c") return character(value as bigint, spec);
  const isFloat = typeof value === "number" || (type !== "" && "eEfFgG%".includes(type));
  if (!isFloat && spec.precision !== undefined) raise("ValueError", "Precision not allowed in integer format specifier");
  if (spec.mark !== "" && (type === "n" || (spec.mark === "," && "boxX".includes(type) && type !== "")))
    raise("ValueError", `Cannot specify '${spec.mark}' with '${type}'.`);
  const isNegative = isFloat ? toFloat(value) < 0 || Object.is(value, -0) : value < 0;
  const sign = isNegative ? "-" : spec.sign === "-" ? "" : spec.sign;
  return isFloat ? ofFloat(toFloat(value), sign, spec) : ofInt(value as bigint, sign, spec);
}

function character(value: bigint, spec: Spec): string {
  if (spec.sign !== "") raise("ValueError", "Sign not allowed with integer format specifier 'c'");
  return pad("", codePoint(value), { ...spec, align: spec.align || "<" });
}

const bases: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function ofInt(value: bigint, sign: string, spec: Spec): string {
  const base = bases[spec.type] ?? 10;
  const digits = (value < 0n ? -value : value).toString(base);
  const text = spec.type === "X" ? digits.toUpperCase() : digits;
  const prefix = spec.alternate && base !== 10 ? `0${spec.type}` : "";
  return pad(sign + prefix, zeroFilled(text, (sign + prefix).length, spec, base === 10 ? 3 : 4), {
    ...spec,
    align: spec.align || (spec.zero ? "=" : ">"),
  });
}

function ofFloat(value: number, sign: string, spec: Spec): string {
  const text = formatFloat(value, spec);
  const [whole, rest] = [/^\d+/.exec(text)?.[0] ?? "", text.replace(/^\d+/, "")];
  const filled = whole === "" ? "" : zeroFilled(whole, sign.length + rest.length, spec, 3);
  return pad(sign, filled + rest, { ...spec, align: spec.align || (spec.zero ? "=" : ">") });
}

/** Digits with group marks; zeros that fill the width get marks as well. */
function zeroFilled(digits: string, others: number, spec: Spec, size: number): string {
  let filled = digits;
  if (spec.mark !== "" && spec.fill === "0" && (spec.align === "=" || (spec.zero && spec.align === "")))
    while (grouped(filled, spec.mark, size).length + others < spec.width) filled = `0${filled}`;
  return grouped(filled, spec.mark, size);
}

function pad(prefix: string, text: string, { fill, align, width }: Spec): string {
  const missing = width - codePoints(prefix) - codePoints(text);
  if (missing <= 0) return prefix + text;
  handleSize(missing);
  if (align === "<") return prefix + text + fill.repeat(missing);
  if (align === ">") return fill.repeat(missing) + prefix + text;
  if (align === "=") return prefix + fill.repeat(missing) + text;
  return fill.repeat(Math.floor(missing / 2)) + prefix + text + fill.repeat(Math.ceil(missing / 2));
}
