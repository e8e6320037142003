import { handle, handleSize, nested, spend } from "../budget.js";
import { raise, refuse } from "../fault.js";
import { sorted } from "../values/compare.js";
import { Dict, Tuple } from "../values/containers.js";
import { listOf, truth } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { floatRepr, repr, str } from "../values/repr.js";
import { PyObject, typeName, type Value } from "../values/value.js";
import { type Filter, filter } from "./filter.js";

interface Style {
  readonly ascii: boolean;
  /** null: all on one line. */
  readonly indent: string | null;
  readonly between: string;
  readonly colon: string;
  readonly sortKeys: boolean;
}

/** transformers' tojson: json.dumps without escapes for HTML. */
function toJson(value: Value, [ascii, indent, separators, sortKeys]: readonly (Value | undefined)[]): string {
  const step = indentOf(indent ?? null);
  const marks = separators === undefined || separators === null ? [step === null ? ", " : ",", ": "] : listOf(separators).map(str);
  if (marks.length !== 2) raise("ValueError", `separators must be two texts, not ${marks.length}`);
  const isTrue = (option: Value | undefined) => option !== undefined && truth(option);
  return dump(value, { ascii: isTrue(ascii), indent: step, between: marks[0]!, colon: marks[1]!, sortKeys: isTrue(sortKeys) }, "\n");
}

function indentOf(indent: Value): string | null {
  if (indent === null) return null;
  if (typeof indent === "string" || indent instanceof Markup) return str(indent);
  if (typeof indent === "boolean") return " ".repeat(Number(indent));
  if (typeof indent !== "bigint") return raise("TypeError", `indent must be an int or a text, not ${typeName(indent)}`);
  return " ".repeat(Math.max(0, Math.min(1024, Number(indent))));
}

/** @param line a line break and the indentation of what holds the value */
function dump(value: Value, style: Style, line: string): string {
  spend(1);
  return handle(nested(() => written(value, style, line)));
}

function written(value: Value, style: Style, line: string): string {
  if (typeof value === "string" || value instanceof Markup) return quote(str(value), style.ascii);
  if (value === null || typeof value === "boolean" || typeof value === "bigint" || typeof value === "number") return scalar(value);
  if (value instanceof Dict) {
    const entries = style.sortKeys ? sorted(value.entries(), ([key]) => key) : value.entries();
    const inner = style.indent === null ? "" : line + style.indent;
    const parts = entries.map(([key, item]) => quote(keyOf(key), style.ascii) + style.colon + dump(item, style, inner));
    return enclose("{", parts, "}", style, line);
  }
  if (!Array.isArray(value) && !(value instanceof Tuple)) raise("TypeError", `Object of type ${typeName(value)} is not JSON serializable`);
  const inner = style.indent === null ? "" : line + style.indent;
  return enclose(
    "[",
    listOf(value).map((item) => dump(item, style, inner)),
    "]",
    style,
    line,
  );
}

function enclose(open: string, parts: readonly string[], close: string, { indent, between }: Style, line: string): string {
  if (parts.length === 0) return open + close;
  const each = between.length + (indent === null ? 0 : line.length + indent.length);
  handleSize(parts.reduce((size, part) => size + part.length + each, 0));
  return indent === null ? open + parts.join(between) + close : open + line + indent + parts.join(between + line + indent) + line + close;
}

function scalar(value: null | boolean | bigint | number): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "bigint") return String(value);
  if (Number.isFinite(value)) return floatRepr(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

function keyOf(key: Value): string {
  if (typeof key === "string" || key instanceof Markup) return str(key);
  if (key === null || typeof key !== "object") return scalar(key);
  return raise("TypeError", `keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

const named: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};
const unicode = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

function quote(text: string, ascii: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped.
  const special = ascii ? /["\\\x00-\x1f]|[^\x20-\x7e]/g : /["\\\x00-\x1f]/g;
  return `"${text.replace(special, (character) => named[character] ?? unicode(character))}"`;
}

/** Python's pprint, of what fits one line: dicts in the order of their keys. */
function prettyPrint(value: Value): string {
  const text = sortedRepr(value);
  return text.length <= 80 && (value === null || typeof value !== "string" || !text.includes("\\n"))
    ? text
    : refuse("the filter pprint of what does not fit one line");
}

function sortedRepr(value: Value): string {
  spend(1);
  return handle(nested(() => sortedParts(value)));
}

function sortedParts(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(sortedRepr).join(", ")}]`;
  if (value instanceof Tuple) return `(${value.items.map(sortedRepr).join(", ")}${value.items.length === 1 ? "," : ""})`;
  if (!(value instanceof Dict)) return value instanceof PyObject ? value.repr() : repr(value);
  return `{${sorted(value.entries(), ([key]) => key)
    .map(([key, item]) => `${repr(key)}: ${sortedRepr(item)}`)
    .join(", ")}}`;
}

/** Filters that write values. */
export const writingFilters: Readonly<Record<string, Filter>> = {
  pprint: filter([], prettyPrint),
  tojson: filter(["ensure_ascii", "indent", "separators", "sort_keys"], toJson),
};
