import { handleSize, maxSize, spend } from "../budget.js";
import { raise, refuse } from "../fault.js";
import { codeOf } from "../values/code-point.js";
import { Dict, Range, Tuple } from "../values/containers.js";
import { characters, codePoints } from "../values/iterate.js";
import { repr, str } from "../values/repr.js";
import { isUndefined } from "../values/undefined.js";
import { given, typeName, type Value } from "../values/value.js";
import { formatFloat } from "./format-number.js";

const directive = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?(.)?/gsu;

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly type: string;
}

/** Python's `text % values`: one value, or a tuple of them, or a dict for `%(name)s`. */
export function formatPercent(text: string, values: Value): string {
  const items = values instanceof Tuple ? values.items : [values];
  let used = 0;
  const next = (): Value => (used < items.length ? items[used++]! : raise("TypeError", "not enough arguments for format string"));
  const result = text.replace(directive, (_, key: string | undefined, flags: string, width: string, precision?: string, type?: string) => {
    if (type === undefined) raise("ValueError", "incomplete format");
    if (key !== undefined) used = items.length;
    const count = (part: string) => (part === "*" ? wholeNumber(next(), "* wants int") : Number(part));
    const wide = count(width);
    const parsed = {
      flags: wide < 0 ? `${flags}-` : flags,
      width: Math.abs(wide),
      precision: precision === undefined ? undefined : count(precision),
      type,
    };
    spend(1 + (parsed.precision ?? 0) / 8);
    if (parsed.width > maxSize || (parsed.precision ?? 0) > 2 ** 16) raise("MemoryError", "a width beyond the limit");
    if (type === "%") return "%";
    return convert(key === undefined ? next() : named(values, key), parsed);
  });
  const isMapping = Array.isArray(values) || values instanceof Dict || values instanceof Range || isUndefined(values);
  if (used < items.length && !isMapping) raise("TypeError", "not all arguments converted during string formatting");
  return result;
}

function named(values: Value, key: string): Value {
  if (!(values instanceof Dict)) return raise("TypeError", "format requires a mapping");
  return given(values.get(key), () => raise("KeyError", repr(key)));
}

function wholeNumber(value: Value, message: string): number {
  return typeof value === "bigint" ? Number(value) : raise("TypeError", message);
}

function convert(value: Value, directive: Directive): string {
  const { type, precision } = directive;
  if ("sra".includes(type)) {
    const text = type === "s" ? str(value) : type === "r" ? repr(value) : ascii(value);
    return padded("", precision === undefined ? text : characters(text).slice(0, precision).join(""), directive, false);
  }
  if (!"diuoxXeEfFgGc".includes(type)) raise("ValueError", `unsupported format character '${type}'`);
  if (type === "c") return padded("", character(value), directive, false);
  const number = typeof value === "boolean" ? BigInt(value) : value;
  if (typeof number !== "bigint" && typeof number !== "number")
    return raise("TypeError", `%${type} format: a real number is required, not ${typeName(value)}`);
  if ("eEfFgG".includes(type)) {
    const float = Number(number);
    const text = formatFloat(float, { type, precision, alternate: directive.flags.includes("#") });
    return padded(signOf(float < 0 || Object.is(float, -0), directive), text, directive, Number.isFinite(float));
  }
  if ("diu".includes(type)) return whole(typeof number === "number" ? truncated(number) : number, 10, directive);
  if (typeof number !== "bigint") raise("TypeError", `%${type} format: an integer is required, not ${typeName(value)}`);
  return whole(number as bigint, type === "o" ? 8 : 16, directive);
}

/** Python's ascii(). */
export function ascii(value: Value): string {
  return repr(value).replace(/[^\0-\x7f]/gu, (character) => {
    const code = codeOf(character);
    const [mark, length] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${mark}${code.toString(16).padStart(length as number, "0")}`;
  });
}

function character(value: Value): string {
  if (typeof value === "bigint" || typeof value === "boolean") return codePoint(BigInt(value));
  return typeof value === "string" && codePoints(value) === 1 ? value : raise("TypeError", "%c requires int or char");
}

/** A character by its number; raises OverflowError for what is none, and refuses half of a surrogate pair. */
export function codePoint(code: bigint): string {
  if (code < 0n || code > 0x10ffffn) raise("OverflowError", "%c arg not in range(0x110000)");
  if (code >= 0xd800n && code < 0xe000n) refuse("half of a surrogate pair");
  return String.fromCodePoint(Number(code));
}

function truncated(value: number): bigint {
  if (Number.isNaN(value)) raise("ValueError", "cannot convert float NaN to integer");
  if (!Number.isFinite(value)) raise("OverflowError", "cannot convert float infinity to integer");
  return BigInt(Math.trunc(value));
}

function signOf(isNegative: boolean, { flags }: Directive): string {
  return isNegative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
}

function whole(value: bigint, base: number, directive: Directive): string {
  const digits = (value < 0n ? -value : value).toString(base).padStart(directive.precision ?? 0, "0");
  const prefix = directive.flags.includes("#") && base !== 10 ? `0${directive.type}` : "";
  return padded(signOf(value < 0n, directive) + prefix, directive.type === "X" ? digits.toUpperCase() : digits, directive, true);
}

function padded(prefix: string, text: string, { flags, width }: Directive, zeros: boolean): string {
  const missing = Math.max(0, width - codePoints(prefix) - codePoints(text));
  handleSize(text.length + missing);
  if (flags.includes("-")) return prefix + text + " ".repeat(missing);
  return zeros && flags.includes("0") ? prefix + "0".repeat(missing) + text : " ".repeat(missing) + prefix + text;
}
