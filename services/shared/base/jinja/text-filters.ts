import { bind, required } from "./arguments.js";
import { TemplateFailure } from "./failure.js";
import type { Filter } from "./filter.js";
import { fixed, formatPercent } from "./formatting.js";
import { dumps, str } from "./spelling.js";
import { capitalize, centred, replace, split, splitLines, strip } from "./text-methods.js";
import { type Arguments, isNumber, iterate, Markup, toInteger, toText, truth, tupleOf, typeName, Undefined, unbool } from "./values.js";

/** Python's int() of text in a base; undefined where it raises a ValueError. */
function wholeOf(text: string, base: number): bigint | undefined {
  const digits = strip(text, "both").replace(/(?<=[\da-z])_(?=[\da-z])/gi, "");
  const found = /^([-+]?)(0[box])?([\da-z]+)$/i.exec(digits);
  if (!found) return undefined;
  const [, sign, prefix, rest] = found as unknown as [string, string, string | undefined, string];
  const bases: Readonly<Record<string, number>> = { "0b": 2, "0o": 8, "0x": 16 };
  const named = prefix && bases[prefix.toLowerCase()];
  if (named && base !== named && base !== 0) return undefined;
  const radix = named || base || 10;
  let value = 0n;
  for (const digit of rest) {
    const one = Number.parseInt(digit, 36);
    if (!(one < radix)) return undefined;
    value = value * BigInt(radix) + BigInt(one);
  }
  return sign === "-" ? -value : value;
}

/** Python's float() of text; undefined where it raises a ValueError. */
function realOf(text: string): number | undefined {
  const word = strip(text, "both").replace(/(?<=\d)_(?=\d)/g, "");
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) return Number(word);
  const special = /^([-+]?)(inf(?:inity)?|nan)$/i.exec(word);
  if (!special) return undefined;
  const value = special[2]!.toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
  return special[1] === "-" ? -value : value;
}

function toInt(value: unknown, args: Arguments): unknown {
  const { default: fallback = 0n, base = 10n } = bind("int", args, ["default", "base"]);
  if (value instanceof Undefined) value.fail();
  if (typeof value === "string") {
    const whole = wholeOf(value, toInteger(base, "base"));
    if (whole !== undefined) return whole;
    const real = realOf(value);
    return real !== undefined && Number.isFinite(real) ? BigInt(Math.trunc(real)) : fallback;
  }
  if (!isNumber(value)) return fallback;
  const number = unbool(value);
  if (typeof number === "bigint") return number;
  return Number.isFinite(number) ? BigInt(Math.trunc(number)) : fallback;
}

function toFloat(value: unknown, args: Arguments): unknown {
  const { default: fallback = 0 } = bind("float", args, ["default"]);
  if (value instanceof Undefined) value.fail();
  if (typeof value === "string") return realOf(value) ?? fallback;
  return isNumber(value) ? Number(value) : fallback;
}

function round(value: unknown, args: Arguments): unknown {
  const { precision = 0n, method = "common" } = bind("round", args, ["precision", "method"]);
  if (value instanceof Undefined) value.fail();
  if (!isNumber(value)) throw new TemplateFailure(`type ${typeName(value)} doesn't define __round__ method`);
  const digits = toInteger(precision, "precision");
  if (method === "common") {
    const number = unbool(value);
    if (typeof number === "bigint" && digits >= 0) return number;
    if (digits >= 0) return Number(fixed(Number(number), digits));
    throw new TemplateFailure("round with a negative precision is not supported in templates here");
  }
  if (method !== "ceil" && method !== "floor") throw new TemplateFailure("method must be common, ceil or floor");
  return Math[method](Number(value) * 10 ** digits) / 10 ** digits;
}

function defaulted(what: string): Filter {
  return (value, args) => {
    const { default_value = "", boolean = false } = bind(what, args, ["default_value", "boolean"]);
    return value instanceof Undefined || (truth(boolean) && !truth(value)) ? default_value : value;
  };
}

function toJson(value: unknown, args: Arguments): unknown {
  const {
    ensure_ascii = false,
    indent = null,
    separators = null,
    sort_keys = false,
  } = bind("tojson", args, ["ensure_ascii", "indent", "separators", "sort_keys"]);
  if (value instanceof Undefined) throw new TemplateFailure("Object of type Undefined is not JSON serializable");
  const width = indent === null ? undefined : typeof indent === "string" ? indent : " ".repeat(Math.max(0, toInteger(indent, "indent")));
  const given =
    separators === null ? [width === undefined ? ", " : ",", ": "] : iterate(separators).map((one) => toText(one, "a separator"));
  if (given.length !== 2) throw new TemplateFailure("separators are two texts");
  const [itemSeparator, keySeparator] = given as [string, string];
  return dumps(value, { indent: width, itemSeparator, keySeparator, sortKeys: truth(sort_keys), ascii: truth(ensure_ascii) });
}

/** A filter's value that must be text, though others are not turned into it. */
function textIn(value: unknown, filter: string): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) value.fail();
  throw new TemplateFailure(`${filter} needs a str, not ${typeName(value)}`);
}

function indent(value: unknown, args: Arguments): unknown {
  const text = textIn(value, "indent");
  const { width = 4n, first = false, blank = false } = bind("indent", args, ["width", "first", "blank"]);
  const space = typeof width === "string" ? width : " ".repeat(toInteger(width, "width"));
  const lines = splitLines(`${text}\n`);
  const [head = "", ...rest] = lines;
  const moved = rest.map((line) => (line || truth(blank) ? space + line : line));
  return [truth(first) ? space + head : head, ...moved].join("\n");
}

function truncate(value: unknown, args: Arguments): unknown {
  const bound = bind("truncate", args, ["length", "killwords", "end", "leeway"]);
  const length = toInteger(bound.length ?? 255n, "length");
  const end = toText(bound.end ?? "...", "end");
  const leeway = toInteger(bound.leeway ?? 5n, "leeway");
  if (value instanceof Undefined || Array.isArray(value) || value instanceof Map) {
    const size = value instanceof Undefined ? 0 : iterate(value).length;
    if (size <= length + leeway) return value;
  }
  const text = [...textIn(value, "truncate")];
  if (text.length <= length + leeway) return text.join("");
  const cut = text.slice(0, length - [...end].length).join("");
  if (truth(bound.killwords ?? false)) return cut + end;
  const at = cut.lastIndexOf(" ");
  return (at < 0 ? cut : cut.slice(0, at)) + end;
}

function fileSize(value: unknown, args: Arguments): unknown {
  const binary = truth(bind("filesizeformat", args, ["binary"]).binary ?? false);
  const bytes = toFloat(value, { list: [], named: new Map() }) as number;
  const base = binary ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const units = binary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
  const last = units.length - 1;
  const at = units.findIndex((_, i) => bytes < base ** (i + 2));
  const unit = at < 0 ? last : at;
  return `${fixed((base * bytes) / base ** (unit + 2), 1)} ${units[unit]}`;
}

function urlEncode(value: unknown): unknown {
  const quote = (part: unknown, safe: string) =>
    encodeURIComponent(str(part))
      .replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
      .replace(/%2F/g, safe);
  if (typeof value === "string" || !(Array.isArray(value) || value instanceof Map)) return quote(value, "/");
  const pairs = value instanceof Map ? [...value] : value.map((pair) => iterate(pair));
  if (pairs.some((pair) => pair.length !== 2)) throw new TemplateFailure("pairs of a name and a value are expected");
  return pairs.map(([key, part]) => `${quote(key, "%2F").replaceAll("%20", "+")}=${quote(part, "%2F").replaceAll("%20", "+")}`).join("&");
}

const onText =
  (name: string, work: (text: string) => unknown): Filter =>
  (value, args) => {
    bind(name, args, []);
    return work(str(value));
  };

const notWritten =
  (name: string): Filter =>
  () => {
    throw new TemplateFailure(`the filter ${name} is not supported in templates here`);
  };

/** Filters of text and numbers. */
export const textFilters: Readonly<Record<string, Filter>> = {
  abs: (value, args) => {
    bind("abs", args, []);
    if (value instanceof Undefined) value.fail();
    if (!isNumber(value)) throw new TemplateFailure(`bad operand type for abs(): '${typeName(value)}'`);
    const number = unbool(value);
    return number < 0 ? -number : number;
  },
  capitalize: onText("capitalize", capitalize),
  center: (value, args) => {
    const width = toInteger(bind("center", args, ["width"]).width ?? 80n, "width");
    const text = str(value);
    const missing = Math.max(0, width - [...text].length);
    const left = centred(missing, width);
    return " ".repeat(left) + text + " ".repeat(missing - left);
  },
  d: defaulted("d"),
  default: defaulted("default"),
  filesizeformat: fileSize,
  float: toFloat,
  format: (value, { list, named }) => {
    if (list.length && named.size) throw new TemplateFailure("can't handle positional and keyword arguments at the same time");
    return formatPercent(str(value), named.size ? new Map(named) : tupleOf(...list));
  },
  indent,
  int: toInt,
  lower: onText("lower", (text) => text.toLowerCase()),
  replace: (value, args) => {
    const bound = bind("replace", args, ["old", "new", "count"]);
    const count = bound.count === undefined || bound.count === null ? -1 : toInteger(bound.count, "count");
    return replace(str(value), str(required("replace", bound, "old")), str(required("replace", bound, "new")), count);
  },
  round,
  string: (value, args) => {
    bind("string", args, []);
    return value instanceof Markup ? value : str(value);
  },
  striptags: onText("striptags", (text) => {
    if (/&#?\w+;/.test(text)) throw new TemplateFailure("the filter striptags on text with entities is not supported in templates here");
    return split(text.replace(/<!--.*?-->/gs, "").replace(/<.*?>/gs, "")).join(" ");
  }),
  title: onText("title", (text) =>
    text
      .split(/([-\s({[<]+)/u)
      .filter(Boolean)
      .map((part) => part[0]!.toUpperCase() + part.slice(1).toLowerCase())
      .join(""),
  ),
  tojson: toJson,
  trim: (value, args) => {
    const { chars } = bind("trim", args, ["chars"]);
    return strip(str(value), "both", chars === undefined || chars === null ? undefined : toText(chars, "chars"));
  },
  truncate,
  upper: onText("upper", (text) => text.toUpperCase()),
  urlencode: (value) => urlEncode(value),
  wordcount: onText("wordcount", (text) => BigInt((text.match(/[\p{L}\p{M}\p{N}\p{Pc}]+/gu) ?? []).length)),
  wordwrap: notWritten("wordwrap"),
};
