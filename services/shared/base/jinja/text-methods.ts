import { bind, required } from "./arguments.js";
import { TemplateFailure } from "./failure.js";
import { formatBraces } from "./formatting.js";
import { lineEnd, spaces } from "./spaces.js";
import { type Arguments, iterate, Tuple, toInteger, toText, truth, tupleOf } from "./values.js";

/** A method of str: its text and what it is called with. */
export type TextMethod = (text: string, args: Arguments) => unknown;

const leading = new RegExp(`^${spaces}+`, "u");
const trailing = new RegExp(`${spaces}+$`, "u");
const gap = new RegExp(`${spaces}+`, "u");

/** Python's str.strip(), lstrip() or rstrip(). @param characters what is stripped; whitespace by default */
export function strip(text: string, side: "both" | "left" | "right", characters?: string): string {
  if (characters === undefined) {
    const right = side === "left" ? text : text.replace(trailing, "");
    return side === "right" ? right : right.replace(leading, "");
  }
  const all = [...text];
  const stripped = new Set(characters);
  let [from, to] = [0, all.length];
  if (side !== "right") while (from < to && stripped.has(all[from]!)) from++;
  if (side !== "left") while (to > from && stripped.has(all[to - 1]!)) to--;
  return all.slice(from, to).join("");
}

/** Python's str.split(). */
export function split(text: string, separator?: string, most = -1): string[] {
  if (separator === "") throw new TemplateFailure("empty separator");
  const parts: string[] = [];
  let rest = separator === undefined ? text.replace(leading, "") : text;
  while (most < 0 || parts.length < most) {
    const found = separator === undefined ? gap.exec(rest) : undefined;
    const at = separator === undefined ? (found?.index ?? -1) : rest.indexOf(separator);
    if (at < 0) break;
    parts.push(rest.slice(0, at));
    rest = rest.slice(at + (found ? found[0].length : separator!.length));
  }
  if (separator !== undefined || rest !== "") parts.push(separator === undefined && most < 0 ? rest.replace(trailing, "") : rest);
  return parts;
}

function rsplit(text: string, separator?: string, most = -1): string[] {
  if (most < 0) return split(text, separator);
  const reversed = (value: string) => [...value].reverse().join("");
  const parts = split(reversed(text), separator === undefined ? undefined : reversed(separator), most);
  return parts.map(reversed).reverse();
}

/** Python's str.splitlines(). */
export function splitLines(text: string, keep = false): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest !== "") {
    const found = lineEnd.exec(rest);
    const end = found ? found.index + found[0].length : rest.length;
    lines.push(rest.slice(0, keep || !found ? end : found.index));
    rest = rest.slice(end);
  }
  return lines;
}

/** Python's str.title(): letters behind anything that is none are upper case. */
const title = (text: string): string => text.toLowerCase().replace(/\p{L}[\p{L}\p{M}]*/gu, capitalize);

/** Digraphs that have a title case of their own, by their upper case. */
const digraphs: Readonly<Record<string, string>> = { Ǆ: "ǅ", Ǉ: "ǈ", Ǌ: "ǋ", Ǳ: "ǲ" };

/** Python's str.capitalize(). */
export function capitalize(text: string): string {
  const [first = "", ...rest] = [...text];
  const upper = first.toUpperCase();
  const [large = "", ...small] = [...upper];
  // Of a ligature only the first letter is large.
  const head = digraphs[upper] ?? large + small.join("").toLowerCase();
  return head + rest.join("").toLowerCase();
}

/** Python's str.swapcase(): letters of neither case stay. */
const swapped = (letter: string): string => {
  const [lower, upper] = [letter.toLowerCase(), letter.toUpperCase()];
  if (letter === lower) return upper;
  return letter === upper ? lower : letter;
};

function partition(text: string, separator: string, last: boolean): Tuple {
  if (separator === "") throw new TemplateFailure("empty separator");
  const at = last ? text.lastIndexOf(separator) : text.indexOf(separator);
  if (at < 0) return last ? tupleOf("", "", text) : tupleOf(text, "", "");
  return tupleOf(text.slice(0, at), separator, text.slice(at + separator.length));
}

/** The part of a text that `start` and `end` leave, and where it begins, by code points. */
function windowOf(text: string, { start, end }: Record<string, unknown>): { part: string; from: number } {
  const all = [...text];
  const place = (value: unknown, fallback: number) => {
    if (value === undefined || value === null) return fallback;
    const at = toInteger(value, "an index");
    return Math.min(all.length, Math.max(0, at < 0 ? at + all.length : at));
  };
  const from = place(start, 0);
  return { part: all.slice(from, place(end, all.length)).join(""), from };
}

function find(what: string, last: boolean): TextMethod {
  return (text, args) => {
    const bound = bind(what, args, ["sub", "start", "end"]);
    const { part, from } = windowOf(text, bound);
    const sub = toText(required(what, bound, "sub"), "sub");
    const at = last ? part.lastIndexOf(sub) : part.indexOf(sub);
    if (at >= 0) return BigInt(from + [...part.slice(0, at)].length);
    if (what.endsWith("index")) throw new TemplateFailure("substring not found");
    return -1n;
  };
}

function starts(what: string, test: (text: string, fix: string) => boolean): TextMethod {
  return (text, args) => {
    const bound = bind(what, args, ["prefix", "start", "end"]);
    const { part } = windowOf(text, bound);
    const prefix = required(what, bound, "prefix");
    return (prefix instanceof Tuple ? [...prefix] : [prefix]).some((one) => test(part, toText(one, "a prefix")));
  };
}

function stripping(what: string, side: "both" | "left" | "right"): TextMethod {
  return (text, args) => {
    const { chars } = bind(what, args, ["chars"]);
    return strip(text, side, chars === undefined || chars === null ? undefined : toText(chars, "chars"));
  };
}

function splitting(what: string, work: typeof split): TextMethod {
  return (text, args) => {
    const { sep, maxsplit } = bind(what, args, ["sep", "maxsplit"]);
    const separator = sep === undefined || sep === null ? undefined : toText(sep, "sep");
    return work(text, separator, maxsplit === undefined ? -1 : toInteger(maxsplit, "maxsplit"));
  };
}

function filling(what: string, place: (missing: number, width: number) => number): TextMethod {
  return (text, args) => {
    const bound = bind(what, args, ["width", "fillchar"]);
    const width = toInteger(required(what, bound, "width"), "width");
    const missing = Math.max(0, width - [...text].length);
    const fill = toText(bound.fillchar ?? " ", "fillchar");
    const left = place(missing, width);
    return fill.repeat(left) + text + fill.repeat(missing - left);
  };
}

/** Where str.center() puts the odd space. */
export const centred = (missing: number, width: number): number => (missing >> 1) + (missing & width & 1);

const plain =
  (what: string, work: (text: string) => unknown): TextMethod =>
  (text, args) => {
    bind(what, args, []);
    return work(text);
  };

const all = (pattern: RegExp) => (text: string) => pattern.test(text);
const isCased = (text: string): boolean => text.toLowerCase() !== text.toUpperCase();

const refused =
  (name: string): TextMethod =>
  () => {
    throw new TemplateFailure(`the method str.${name} is not supported in templates here`);
  };

/** The methods of str. */
export const textMethods: Readonly<Record<string, TextMethod>> = {
  capitalize: plain("capitalize", capitalize),
  casefold: plain("casefold", (text) => Array.from(text, (letter) => letter.toUpperCase().toLowerCase()).join("")),
  center: filling("center", centred),
  count: (text, args) => {
    const bound = bind("count", args, ["sub", "start", "end"]);
    const { part } = windowOf(text, bound);
    const sub = toText(required("count", bound, "sub"), "sub");
    return BigInt(sub === "" ? [...part].length + 1 : part.split(sub).length - 1);
  },
  encode: refused("encode"),
  endswith: starts("endswith", (text, fix) => text.endsWith(fix)),
  expandtabs: refused("expandtabs"),
  find: find("find", false),
  format: (text, { list, named }) => formatBraces(text, list, named),
  format_map: refused("format_map"),
  index: find("index", false),
  isalnum: plain("isalnum", all(/^[\p{L}\p{N}]+$/u)),
  isalpha: plain("isalpha", all(/^\p{L}+$/u)),
  isascii: plain("isascii", (text) => [...text].every((one) => one.codePointAt(0)! < 128)),
  isdecimal: plain("isdecimal", all(/^\p{Nd}+$/u)),
  isdigit: plain("isdigit", all(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐]+$/u)),
  isidentifier: refused("isidentifier"),
  islower: plain("islower", (text) => isCased(text) && text === text.toLowerCase()),
  isnumeric: plain("isnumeric", all(/^\p{N}+$/u)),
  isprintable: plain("isprintable", (text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(" ", ""))),
  isspace: plain("isspace", (text) => text !== "" && strip(text, "both") === ""),
  istitle: plain("istitle", (text) => isCased(text) && text === title(text)),
  isupper: plain("isupper", (text) => isCased(text) && text === text.toUpperCase()),
  join: (text, args) => {
    const bound = bind("join", args, ["iterable"]);
    return iterate(required("join", bound, "iterable"))
      .map((item) => toText(item, "what join() joins"))
      .join(text);
  },
  ljust: filling("ljust", () => 0),
  lower: plain("lower", (text) => text.toLowerCase()),
  lstrip: stripping("lstrip", "left"),
  maketrans: refused("maketrans"),
  partition: (text, args) => partition(text, toText(required("partition", bind("partition", args, ["sep"]), "sep"), "sep"), false),
  removeprefix: (text, args) => {
    const prefix = toText(required("removeprefix", bind("removeprefix", args, ["prefix"]), "prefix"), "prefix");
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix: (text, args) => {
    const suffix = toText(required("removesuffix", bind("removesuffix", args, ["suffix"]), "suffix"), "suffix");
    return suffix && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  replace: (text, args) => {
    const bound = bind("replace", args, ["old", "new", "count"]);
    const count = bound.count === undefined ? -1 : toInteger(bound.count, "count");
    return replace(text, toText(required("replace", bound, "old"), "old"), toText(required("replace", bound, "new"), "new"), count);
  },
  rfind: find("rfind", true),
  rindex: find("rindex", true),
  rjust: filling("rjust", (missing) => missing),
  rpartition: (text, args) => partition(text, toText(required("rpartition", bind("rpartition", args, ["sep"]), "sep"), "sep"), true),
  rsplit: splitting("rsplit", rsplit),
  rstrip: stripping("rstrip", "right"),
  split: splitting("split", split),
  splitlines: (text, args) => splitLines(text, truth(bind("splitlines", args, ["keepends"]).keepends ?? false)),
  startswith: starts("startswith", (text, fix) => text.startsWith(fix)),
  strip: stripping("strip", "both"),
  swapcase: plain("swapcase", (text) => Array.from(text, swapped).join("")),
  title: plain("title", title),
  translate: refused("translate"),
  upper: plain("upper", (text) => text.toUpperCase()),
  zfill: (text, args) => {
    const width = toInteger(required("zfill", bind("zfill", args, ["width"]), "width"), "width");
    const [, sign = "", digits = ""] = /^([-+]?)(.*)$/s.exec(text)!;
    return sign + "0".repeat(Math.max(0, width - [...text].length)) + digits;
  },
};

/** Python's str.replace(). @param count how many at most; below 0 all */
export function replace(text: string, old: string, fresh: string, count: number): string {
  if (count === 0) return text;
  if (old === "") {
    const characters = [...text];
    const places = count < 0 ? characters.length + 1 : Math.min(count, characters.length + 1);
    return characters.map((one, i) => (i < places ? fresh : "") + one).join("") + (places > characters.length ? fresh : "");
  }
  const parts = text.split(old);
  if (count < 0 || parts.length - 1 <= count) return parts.join(fresh);
  return parts.slice(0, count + 1).join(fresh) + old + parts.slice(count + 1).join(old);
}
