import { readJson } from "./json-text.js";

/** A JSON number that a JavaScript number would spell otherwise: 0.10, 1.0, or a whole number beyond 2^53. */
export class SpelledNumber {
  /** As the JSON text has it. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  valueOf(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }
}

/** The JSON text of a value, with numbers spelled as they were; keys without a value are left out. */
export function writeJson(value: unknown): string {
  if (value instanceof SpelledNumber || typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => writeJson(item ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${pairs.map(([key, item]) => `${JSON.stringify(key)}:${writeJson(item)}`).join(",")}}`;
}

/** Finds what may be a number that JavaScript would respell; a number within a string only costs time. */
const mayRespell = /(?:^|[:[,\s])(?:-?\d{16,}|-?\d+[.eE]|-0)/;

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A key that JavaScript moves before all others, whatever its place in the text. */
const isIndex = /^"(?:0|[1-9]\d{0,9})"$/;

/**
 * Parses JSON and keeps the spelling of numbers: what JavaScript would write otherwise is a {@link SpelledNumber}. Of a key
 * that is there twice the last value counts, as in Python.
 *
 * @param lostOrder what stands for an object whose keys JavaScript cannot keep in their order ({"b": 1, "2": 1}); by default
 * the object as JavaScript orders it
 * @throws JsonFault with the place and kind of the fault, never what stands there; or if it holds or nests too much
 */
export function parseJson(text: string, lostOrder?: () => unknown): unknown {
  const value = readJson(text);
  if (!mayRespell.test(text) && !(lostOrder && /"\d+"\s*:/.test(text))) return value;
  const longest = (text.match(/#+/g) ?? []).reduce((most, { length }) => Math.max(most, length), 0);
  const mark = "#".repeat(longest + 1);
  return restored(JSON.parse(marked(text, mark, lostOrder !== undefined)), mark, lostOrder);
}

/**
 * A JSON text in which each number that JavaScript would respell is an object with the one key `mark`, and, if `keys` is set,
 * each key that JavaScript would move begins with the mark.
 */
function marked(text: string, mark: string, keys: boolean): string {
  const parts: string[] = [];
  const outside = (part: string) => part.replace(number, (token) => (String(Number(token)) === token ? token : `{"${mark}":"${token}"}`));
  let at = 0;
  for (let quote = text.indexOf('"'); quote >= 0; quote = text.indexOf('"', at)) {
    parts.push(outside(text.slice(at, quote)));
    at = stringEnd(text, quote);
    const string = text.slice(quote, at);
    const moves = keys && string.length < 13 && isIndex.test(string) && /^\s*:/.test(text.slice(at, at + 50));
    parts.push(moves ? `"${mark}${string.slice(1)}` : string);
  }
  parts.push(outside(text.slice(at)));
  return parts.join("");
}

/** The position behind the string that begins at a quotation mark. */
function stringEnd(text: string, quote: number): number {
  let end = text.indexOf('"', quote + 1);
  for (;;) {
    let before = end - 1;
    while (text[before] === "\\") before--;
    if ((end - before) % 2 === 1) return end + 1;
    end = text.indexOf('"', end + 1);
  }
}

function restored(value: unknown, mark: string, lostOrder?: () => unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = restored(value[i], mark, lostOrder);
    return value;
  }
  const object = value as Record<string, unknown>;
  if (Object.hasOwn(object, mark)) return new SpelledNumber(object[mark] as string);
  const keys = Object.keys(object);
  const names = keys.map((key) => (key.startsWith(mark) ? key.slice(mark.length) : key));
  const result = Object.fromEntries(keys.map((key, i) => [names[i]!, restored(object[key], mark, lostOrder)]));
  return lostOrder && Object.keys(result).some((key, i) => key !== names[i]) ? lostOrder() : result;
}
