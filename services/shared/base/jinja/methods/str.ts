import { raise } from "../fault.js";
import { Tuple } from "../values/containers.js";
import { codePoints, listOf } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { isPrintable } from "../values/repr.js";
import { bind } from "../values/signature.js";
import { typeName, type Value } from "../values/value.js";
import type { Method, Methods } from "./method.js";
import { count, expandTabs, find, joined, justify, replace, type Span, split, splitLines, startsOrEnds, strip, zeroFill } from "./text.js";
import { capitalized, caseFold, isOf, isTitled, kindNames, swapped, titled } from "./unicode.js";

type Given = readonly (Value | undefined)[];

/** A method of texts; one of a text that is marked safe gives safe texts, and is refused where arguments would have to be escaped. */
function method(
  name: string,
  parameters: readonly string[],
  run: (text: string, args: Given) => Value,
  how: { required?: number; byName?: boolean; mixes?: boolean } = {},
): Method {
  const signature = { name, parameters, required: how.required ?? 0, byName: how.byName ?? false };
  return (self, args, keywords) => {
    const given = bind(signature, args, keywords);
    if (!(self instanceof Markup)) return run(self as string, given);
    if (how.mixes) raise("Unimplemented", `${name}() of a text that is marked safe is not supported here`);
    return marked(run(self.text, given));
  };
}

function marked(value: Value): Value {
  if (typeof value === "string") return new Markup(value);
  if (Array.isArray(value)) return value.map(marked);
  return value instanceof Tuple ? new Tuple(value.items.map(marked)) : value;
}

/** An argument that must be a text. */
function text(value: Value | undefined, name: string): string {
  if (typeof value === "string") return value;
  return value instanceof Markup ? value.text : raise("TypeError", `${name}() argument must be str, not ${typeName(value ?? null)}`);
}

function optionalText(value: Value | undefined, name: string): string | null {
  return value === undefined || value === null ? null : text(value, name);
}

function whole(value: Value | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return Number(value);
  return typeof value === "bigint" ? Number(value) : raise("TypeError", `'${typeName(value)}' object cannot be interpreted as an integer`);
}

function span(start: Value | undefined, end: Value | undefined): Span {
  const bound = (value: Value | undefined) => (value === undefined || value === null ? undefined : whole(value, 0));
  return { start: bound(start), end: bound(end) };
}

const searching = ["sub", "start", "end"];

function search(name: "find" | "rfind" | "index" | "rindex"): Method {
  return method(
    name,
    searching,
    (self, [sub, start, end]) => {
      const at = find(self, text(sub, name), span(start, end), name.startsWith("r"));
      return at === -1 && name.endsWith("index") ? raise("ValueError", "substring not found") : BigInt(at);
    },
    { required: 1 },
  );
}

function edge(name: "startswith" | "endswith"): Method {
  return method(
    name,
    ["prefix", "start", "end"],
    (self, [prefix, start, end]) => {
      const texts = prefix instanceof Tuple ? prefix.items : [prefix];
      return texts.some((part) => startsOrEnds(self, text(part, name), span(start, end), name === "endswith"));
    },
    { required: 1 },
  );
}

function stripping(name: string, sides: "l" | "r" | "lr"): Method {
  return method(name, ["chars"], (self, [chars]) => strip(self, optionalText(chars, name), sides));
}

function aligning(name: string, side: "left" | "right" | "both"): Method {
  return method(
    name,
    ["width", "fillchar"],
    (self, [width, fill]) => {
      const filler = fill === undefined ? " " : text(fill, name);
      if (codePoints(filler) !== 1) raise("TypeError", "The fill character must be exactly one character long");
      return justify(self, whole(width, 0), filler, side);
    },
    { required: 1, mixes: true },
  );
}

function splitting(name: "split" | "rsplit"): Method {
  return method(
    name,
    ["sep", "maxsplit"],
    (self, [sep, limit]) => split(self, optionalText(sep, name), whole(limit, -1), name === "rsplit"),
    {
      byName: true,
    },
  );
}

function parting(name: "partition" | "rpartition"): Method {
  return method(
    name,
    ["sep"],
    (self, [sep]) => {
      const mark = text(sep, name);
      if (mark === "") raise("ValueError", "empty separator");
      const at = name === "partition" ? self.indexOf(mark) : self.lastIndexOf(mark);
      if (at === -1) return new Tuple(name === "partition" ? [self, "", ""] : ["", "", self]);
      return new Tuple([self.slice(0, at), mark, self.slice(at + mark.length)]);
    },
    { required: 1, mixes: true },
  );
}

function join(self: string, items: Value | undefined): string {
  const texts = listOf(items ?? null).map((item, index) => {
    if (typeof item === "string") return item;
    return item instanceof Markup
      ? item.text
      : raise("TypeError", `sequence item ${index}: expected str instance, ${typeName(item)} found`);
  });
  return joined(texts, self);
}

const plain = (name: string, run: (text: string) => Value): Method => method(name, [], run);

/** Methods of texts; format and format_map are in access.ts, since they look up attributes. */
export const strMethods: Methods = {
  capitalize: plain("capitalize", capitalized),
  casefold: plain("casefold", caseFold),
  center: aligning("center", "both"),
  count: method("count", searching, (self, [sub, start, end]) => BigInt(count(self, text(sub, "count"), span(start, end))), {
    required: 1,
  }),
  encode: "lacks",
  endswith: edge("endswith"),
  expandtabs: method("expandtabs", ["tabsize"], (self, [size]) => expandTabs(self, whole(size, 8)), { byName: true }),
  find: search("find"),
  index: search("index"),
  ...Object.fromEntries(kindNames.map((kind) => [kind, plain(kind, (self) => isOf(kind, self))])),
  isprintable: plain("isprintable", isPrintable),
  istitle: plain("istitle", isTitled),
  join: method("join", ["iterable"], (self, [items]) => join(self, items), { required: 1, mixes: true }),
  ljust: aligning("ljust", "left"),
  lower: plain("lower", (self) => self.toLowerCase()),
  lstrip: stripping("lstrip", "l"),
  maketrans: "lacks",
  partition: parting("partition"),
  removeprefix: method("removeprefix", ["prefix"], (self, [part]) => {
    const prefix = text(part, "removeprefix");
    return self.startsWith(prefix) ? self.slice(prefix.length) : self;
  }),
  removesuffix: method("removesuffix", ["suffix"], (self, [part]) => {
    const suffix = text(part, "removesuffix");
    return suffix !== "" && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self;
  }),
  replace: method(
    "replace",
    ["old", "new", "count"],
    (self, [old, by, limit]) => replace(self, text(old, "replace"), text(by, "replace"), whole(limit, -1)),
    { required: 2, mixes: true },
  ),
  rfind: search("rfind"),
  rindex: search("rindex"),
  rjust: aligning("rjust", "right"),
  rpartition: parting("rpartition"),
  rsplit: splitting("rsplit"),
  rstrip: stripping("rstrip", "r"),
  split: splitting("split"),
  splitlines: method(
    "splitlines",
    ["keepends"],
    (self, [keep]) => splitLines(self, keep === true || (typeof keep === "bigint" && keep !== 0n)),
    {
      byName: true,
    },
  ),
  startswith: edge("startswith"),
  strip: stripping("strip", "lr"),
  swapcase: plain("swapcase", swapped),
  title: plain("title", titled),
  translate: "lacks",
  upper: plain("upper", (self) => self.toUpperCase()),
  zfill: method("zfill", ["width"], (self, [width]) => zeroFill(self, whole(width, 0)), { required: 1 }),
};
