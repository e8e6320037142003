import { checkSize, handle, handleSize } from "../budget.js";
import { raise, refuse } from "../fault.js";
import { joined, justify, replace, split, splitLines, strip } from "../methods/text.js";
import { capitalized } from "../methods/unicode.js";
import { binary } from "../operators/arithmetic.js";
import { Dict, Tuple } from "../values/containers.js";
import { characters, isIterable, len, listOf, truth } from "../values/iterate.js";
import { escapeHtml, Markup } from "../values/markup.js";
import { str } from "../values/repr.js";
import { required } from "../values/signature.js";
import { spaces } from "../values/spaces.js";
import { isUndefined } from "../values/undefined.js";
import type { Value } from "../values/value.js";
import { attributeGetter, type Filter, filter, softly, textOf, whole } from "./filter.js";

/** Python's escape(): safe texts stay as they are. */
function escaped(value: Value): Markup {
  return value instanceof Markup ? value : new Markup(escapeHtml(str(value)));
}

const wordBeginnings = new RegExp(`([-${spaces}({[<]+)`);

function titled(text: string): string {
  return text
    .split(wordBeginnings)
    .map((part) => {
      const [first = "", ...rest] = part;
      return first.toUpperCase() + rest.join("").toLowerCase();
    })
    .join("");
}

const format: Filter = (value, args, keywords) => {
  if (args.length > 0 && keywords.size > 0) raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  return binary("%", value instanceof Markup ? value : str(value), keywords.size > 0 ? new Dict(keywords) : new Tuple(args));
};

function spacesOf(width: number): string {
  checkSize(width);
  return " ".repeat(Math.max(0, width));
}

function indent(value: Value, [width, first, blank]: readonly (Value | undefined)[]): Value {
  const indention = typeof width === "string" || width instanceof Markup ? textOf(width) : spacesOf(whole(width, 4));
  const lines = splitLines(`${textOf(value)}\n`, false);
  handleSize(lines.reduce((size, line) => size + line.length + indention.length + 1, 0));
  const keepsBlank = blank === undefined || !truth(blank);
  const indented = lines.map((line, index) => (index === 0 || (keepsBlank && line === "") ? line : indention + line)).join("\n");
  const text = first !== undefined && truth(first) ? indention + indented : indented;
  return value instanceof Markup ? new Markup(text) : text;
}

function join(value: Value, [mark, attribute]: readonly (Value | undefined)[]): string {
  const items = attribute === undefined || attribute === null ? listOf(value) : listOf(value).map(attributeGetter(attribute));
  return joined(items.map(str), mark === undefined ? "" : str(mark));
}

const entities: Readonly<Record<string, string>> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#34;": '"' };

function stripTags(value: Value): string {
  let text = str(value);
  for (const [begin, end] of [
    ["<!--", "-->"],
    ["<", ">"],
  ] as const) {
    for (let from = text.indexOf(begin); from !== -1; from = text.indexOf(begin)) {
      handle(text);
      const to = text.indexOf(end, from);
      if (to === -1) break;
      text = text.slice(0, from) + text.slice(to + end.length);
    }
  }
  return split(text, null, -1, false)
    .join(" ")
    .replace(/&#?\w+;?/g, (entity) => entities[entity] ?? refuse(`the filter striptags of a text with ${entity}`));
}

function truncate(value: Value, [length, killWords, end, leeway]: readonly (Value | undefined)[]): Value {
  const mark = end === undefined ? "..." : textOf(end);
  const limit = whole(length, 255);
  const slack = leeway === null ? 5 : whole(leeway, 5);
  if (limit < Number(len(mark))) raise("AssertionError", `expected length >= ${len(mark)}, got ${limit}`);
  if (slack < 0) raise("AssertionError", `expected leeway >= 0, got ${slack}`);
  if (len(value) <= BigInt(limit + slack)) return value;
  const start = characters(textOf(value))
    .slice(0, limit - Number(len(mark)))
    .join("");
  return (killWords !== undefined && truth(killWords) ? start : split(start, " ", 1, true)[0]!) + mark;
}

function quoteUrl(value: Value, inQuery: boolean): string {
  const quoted = encodeURIComponent(str(value)).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return inQuery ? quoted.replaceAll("%20", "+") : quoted.replaceAll("%2F", "/");
}

function urlEncode(value: Value): string {
  if (typeof value === "string" || value instanceof Markup || !isIterable(value)) return quoteUrl(value, false);
  const pairs = value instanceof Dict ? value.entries() : listOf(value).map((pair) => listOf(pair));
  return pairs
    .map((pair) =>
      pair.length === 2 ? `${quoteUrl(pair[0]!, true)}=${quoteUrl(pair[1]!, true)}` : raise("ValueError", "pairs are needed"),
    )
    .join("&");
}

function xmlAttributes(value: Value, [autospace]: readonly (Value | undefined)[]): string {
  if (!(value instanceof Dict)) return isUndefined(value) ? value.fail() : raise("AttributeError", "xmlattr needs a dict, which has items");
  const written = value.entries().flatMap(([key, item]) => {
    if (item === null || isUndefined(item)) return [];
    if (/[\s/>=]/.test(textOf(key))) raise("ValueError", `Invalid character in attribute name: ${str(key)}`);
    return [`${escaped(key).text}="${escaped(item).text}"`];
  });
  return (written.length > 0 && (autospace === undefined || truth(autospace)) ? " " : "") + written.join(" ");
}

/** Filters that make texts. */
export const textFilters: Readonly<Record<string, Filter>> = {
  capitalize: filter([], (value) => softly(value, capitalized)),
  center: filter(["width"], (value, [width]) => softly(value, (text) => justify(text, whole(width, 80), " ", "both"))),
  e: filter([], escaped),
  escape: filter([], escaped),
  forceescape: filter([], (value) => new Markup(escapeHtml(str(value)))),
  format,
  indent: filter(["width", "first", "blank"], indent),
  join: filter(["d", "attribute"], join),
  lower: filter([], (value) => softly(value, (text) => text.toLowerCase())),
  replace: filter(["old!", "new!", "count"], (value, [old, by, count]) =>
    replace(str(value), str(required(old)), str(required(by)), count === null ? -1 : whole(count, -1)),
  ),
  safe: filter([], (value) => new Markup(str(value))),
  string: filter([], (value) => (value instanceof Markup ? value : str(value))),
  striptags: filter([], stripTags),
  title: filter([], (value) => softly(value, titled)),
  trim: filter(["chars"], (value, [chars]) =>
    softly(value, (text) => strip(text, chars === undefined || chars === null ? null : textOf(chars), "lr")),
  ),
  truncate: filter(["length", "killwords", "end", "leeway"], truncate),
  upper: filter([], (value) => softly(value, (text) => text.toUpperCase())),
  urlencode: filter([], urlEncode),
  urlize: () => refuse("the filter urlize"),
  wordcount: filter([], (value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)),
  wordwrap: () => refuse("the filter wordwrap"),
  xmlattr: filter(["autospace"], xmlAttributes),
};
