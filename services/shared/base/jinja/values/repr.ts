import { handle, nested, spend } from "../budget.js";
import { codeOf } from "./code-point.js";
import { Markup } from "./markup.js";
import { PyObject, type Value } from "./value.js";

/** Python's str(). */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  return value instanceof PyObject ? value.str() : repr(value);
}

/** Python's repr(). */
export function repr(value: Value): string {
  if (value === null) return "None";
  switch (typeof value) {
    case "string":
      return quote(value);
    case "boolean":
      return value ? "True" : "False";
    case "bigint":
      return String(value);
    case "number":
      return floatRepr(value);
  }
  spend(1);
  if (value instanceof Markup) return `Markup(${quote(handle(value.text))})`;
  const inside = nested(() => (Array.isArray(value) ? `[${value.map(repr).join(", ")}]` : value.repr()));
  return handle(inside);
}

/** Python's repr() of a float: the shortest digits that give it back. */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

const named: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A character that Python's repr() does not print as it is. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

const special = /[\\]|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** Python's repr() of a text. */
export function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text.replace(special, (character) => named[character] ?? escaped(character));
  return mark + (mark === "'" ? inside.replaceAll("'", "\\'") : inside) + mark;
}

/** Python's str.isprintable(). */
export function isPrintable(text: string): boolean {
  return !unprintable.test(text);
}

function escaped(character: string): string {
  const code = codeOf(character);
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}
