import { handleSize, spend } from "../budget.js";
import { raise } from "../fault.js";
import { characters, codePoints, isWide } from "../values/iterate.js";
import { spaces, stripLeft, stripRight } from "../values/spaces.js";

/** Part of a text, in code points; negative ones count from the end. */
export interface Span {
  readonly start: number | undefined;
  readonly end: number | undefined;
}

/** The part of a text, and where it begins, in code points; undefined where it begins beyond the end. */
function within(text: string, { start, end }: Span): { readonly part: string; readonly from: number } | undefined {
  if (start === undefined && end === undefined) return { part: text, from: 0 };
  const all = characters(text);
  const clamp = (value: number) => Math.max(0, Math.min(all.length, value < 0 ? value + all.length : value));
  const from = start === undefined ? 0 : start < 0 ? clamp(start) : start;
  const to = end === undefined ? all.length : clamp(end);
  return from > to || from > all.length ? undefined : { part: all.slice(from, to).join(""), from };
}

/** Python's find and rfind: where `sub` is, in code points, or -1. */
export function find(text: string, sub: string, span: Span, fromRight: boolean): number {
  const inside = within(text, span);
  if (inside === undefined) return -1;
  const at = fromRight ? inside.part.lastIndexOf(sub) : inside.part.indexOf(sub);
  return at === -1 ? -1 : inside.from + codePoints(inside.part.slice(0, at));
}

/** Python's startswith and endswith. */
export function startsOrEnds(text: string, part: string, span: Span, ends: boolean): boolean {
  const inside = within(text, span);
  if (inside === undefined) return false;
  return ends ? inside.part.endsWith(part) : inside.part.startsWith(part);
}

/** Python's count. */
export function count(text: string, sub: string, span: Span): number {
  const inside = within(text, span);
  if (inside === undefined) return 0;
  return sub === "" ? codePoints(inside.part) + 1 : inside.part.split(sub).length - 1;
}

/** Python's strip, lstrip and rstrip; null strips white space. */
export function strip(text: string, chars: string | null, sides: "l" | "r" | "lr"): string {
  if (chars === null) {
    const left = sides === "r" ? text : stripLeft(text);
    return sides === "l" ? left : stripRight(left);
  }
  const set = new Set(chars);
  const all = characters(text);
  let [from, to] = [0, all.length];
  if (sides !== "r") while (from < to && set.has(all[from]!)) from++;
  if (sides !== "l") while (to > from && set.has(all[to - 1]!)) to--;
  return all.slice(from, to).join("");
}

/** Python's split and rsplit; null splits at white space, a negative limit splits everywhere. */
export function split(text: string, separator: string | null, limit: number, fromRight: boolean): string[] {
  if (separator === "") raise("ValueError", "empty separator");
  if (separator === null) return splitWords(text, limit, fromRight);
  const parts = text.split(separator);
  spend(parts.length);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  if (fromRight) return [parts.slice(0, parts.length - limit).join(separator), ...parts.slice(parts.length - limit)];
  return [...parts.slice(0, limit), parts.slice(limit).join(separator)];
}

const word = new RegExp(`[^${spaces}]+`, "g");

function splitWords(text: string, limit: number, fromRight: boolean): string[] {
  const words: RegExpExecArray[] = [];
  for (const found of text.matchAll(word)) {
    spend(1);
    words.push(found);
  }
  if (limit < 0 || words.length <= limit) return words.map(([found]) => found);
  if (!fromRight) return [...words.slice(0, limit).map(([found]) => found), text.slice(words[limit]!.index)];
  const first = words[words.length - limit - 1]!;
  return [text.slice(0, first.index + first[0].length), ...words.slice(words.length - limit).map(([found]) => found)];
}

const breaks = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
const lines = new RegExp(`([^${breaks}]*)(?:\\r\\n|[${breaks}]|$)`, "g");

/** Python's splitlines: at every line break that Unicode knows. */
export function splitLines(text: string, keepEnds: boolean): string[] {
  const found: string[] = [];
  for (const [line, body = ""] of text.matchAll(lines)) {
    spend(1);
    if (line !== "") found.push(keepEnds ? line : body);
  }
  return found;
}

/** Texts with another between them; raises for a result that is too long. */
export function joined(texts: readonly string[], mark: string): string {
  handleSize(texts.reduce((size, text) => size + text.length + mark.length, 0));
  return texts.join(mark);
}

/** Python's replace; a negative limit replaces everywhere. */
export function replace(text: string, old: string, by: string, limit: number): string {
  const places = old === "" ? text.length + 1 : text.split(old).length - 1;
  handleSize(text.length + (limit < 0 ? places : Math.min(limit, places)) * Math.max(0, by.length - old.length));
  if (limit < 0 && (old !== "" || !isWide(text))) return text.split(old).length > 1 || old === "" ? everywhere(text, old, by) : text;
  const parts = old === "" ? ["", ...characters(text), ""] : text.split(old);
  const times = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1);
  return (
    parts.slice(0, times + 1).join(by) +
    parts
      .slice(times + 1)
      .map((part) => old + part)
      .join("")
  );
}

function everywhere(text: string, old: string, by: string): string {
  return old === "" ? ["", ...text.split(""), ""].join(by) : text.split(old).join(by);
}

/** Python's ljust, rjust and center. */
export function justify(text: string, width: number, fill: string, side: "left" | "right" | "both"): string {
  const missing = width - codePoints(text);
  if (missing <= 0) return text;
  handleSize(missing);
  if (side === "left") return text + fill.repeat(missing);
  if (side === "right") return fill.repeat(missing) + text;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

/** Python's zfill: zeros between a sign and the rest. */
export function zeroFill(text: string, width: number): string {
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + justify(text.slice(sign.length), width - sign.length, "0", "right");
}

/** Python's expandtabs. */
export function expandTabs(text: string, size: number): string {
  let column = 0;
  let result = "";
  for (const character of text) {
    if (character === "\t") {
      const width = size > 0 ? size - (column % size) : 0;
      handleSize(width);
      result += " ".repeat(width);
      column += width;
    } else {
      result += character;
      column = character === "\n" || character === "\r" ? 0 : column + 1;
    }
  }
  return result;
}
