// How Python spells values: str(), repr(), and json.dumps().
import { TemplateFailure } from "./failure.js";
import { Attributes, Callable, Markup, Tuple, typeName, Undefined, View } from "./values.js";

/** A float as Python's repr spells it: the shortest digits, an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${digits}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  const sign = value < 0 ? "-" : "";
  const all = digits.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${all}`;
  const whole = all.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${all.slice(exponent + 1) || "0"}`;
}

/** Python's str(): what a template prints. */
export function str(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) return "";
  if (value instanceof Markup) return value.text;
  return repr(value);
}

/** Python's repr(). @throws TemplateFailure for what has no spelling of its own */
export function repr(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return floatText(value);
  if (typeof value === "string") return textRepr(value);
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) return value.length === 1 ? `(${repr(value[0])},)` : `(${value.map(repr).join(", ")})`;
  if (value instanceof View) return `${value.kind}([${value.map(repr).join(", ")}])`;
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([key, part]) => `${repr(key)}: ${repr(part)}`).join(", ")}}`;
  const name = value instanceof Callable || value instanceof Attributes ? typeName(value) : typeof value;
  throw new TemplateFailure(`a ${name} cannot be printed`);
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function textRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (character === quote) out += `\\${quote}`;
    else if (short[character]) out += short[character];
    else if (character !== " " && /[\p{C}\p{Z}]/u.test(character)) out += codeOf(code);
    else out += character;
  }
  return quote + out + quote;
}

function codeOf(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

/** How json.dumps is asked to write. */
export interface JsonOptions {
  /** Undefined for one line. */
  readonly indent?: string;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
  readonly ascii: boolean;
}

/** Python's json.dumps(). @throws TemplateFailure for what JSON cannot hold */
export function dumps(value: unknown, options: JsonOptions, level = 0): string {
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number")
    return Number.isFinite(value) ? floatText(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (typeof value === "string") return jsonText(value, options.ascii);
  if (value instanceof Markup) return jsonText(value.text, options.ascii);
  if (Array.isArray(value) && !(value instanceof View))
    return group(
      "[",
      "]",
      value.map((item) => dumps(item, options, level + 1)),
      options,
      level,
    );
  if (value instanceof Map) {
    const entries = [...value].map(([key, part]) => [jsonKey(key), part] as const);
    if (options.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const parts = entries.map(([key, part]) => `${jsonText(key, options.ascii)}${options.keySeparator}${dumps(part, options, level + 1)}`);
    return group("{", "}", parts, options, level);
  }
  throw new TemplateFailure(`Object of type ${typeName(value)} is not JSON serializable`);
}

function group(open: string, close: string, parts: readonly string[], { indent, itemSeparator }: JsonOptions, level: number): string {
  if (parts.length === 0) return open + close;
  if (indent === undefined) return open + parts.join(itemSeparator) + close;
  const line = `\n${indent.repeat(level + 1)}`;
  return `${open}${line}${parts.join(itemSeparator + line)}\n${indent.repeat(level)}${close}`;
}

function jsonKey(key: unknown): string {
  if (typeof key === "string") return key;
  if (key === null) return "null";
  if (typeof key === "boolean" || typeof key === "bigint") return String(key);
  if (typeof key === "number") return floatText(key);
  throw new TemplateFailure(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function jsonText(text: string, ascii: boolean): string {
  // JSON.stringify escapes lone surrogates, which Python writes as they are; the rest is the same.
  const written = JSON.stringify(text).replace(/\u007f/g, "\u007f");
  return ascii ? written.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`) : written;
}
