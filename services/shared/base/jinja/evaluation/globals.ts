import { raise, refuse } from "../fault.js";
import { strftime } from "../strftime.js";
import { Callable, Dict, Range } from "../values/containers.js";
import { listOf } from "../values/iterate.js";
import { repr, str } from "../values/repr.js";
import { bind, required } from "../values/signature.js";
import { given, type Keywords, PyObject, typeName, type Value } from "../values/value.js";

const maxRange = 100_000;

/** What `namespace()` makes: attributes that `set` may change from within loops. */
export class Namespace extends PyObject {
  readonly type = "TemplateNamespace";
  readonly #attributes: Dict;

  constructor(attributes: Dict) {
    super();
    this.#attributes = attributes;
    for (const key of attributes.keys()) checkName(key);
  }

  override attribute(name: string): Value | undefined {
    return this.#attributes.get(name);
  }

  /** @throws SecurityError for a name that begins with an underscore */
  set(name: string, value: Value): void {
    checkName(name);
    this.#attributes.set(name, value);
  }

  override repr(): string {
    return `<Namespace ${this.#attributes.repr()}>`;
  }
}

function checkName(name: Value): void {
  if (typeof name !== "string" || !name.startsWith("_")) return;
  raise("SecurityError", `Chat templates cannot store underscore-prefixed attributes on a namespace, but got ${repr(name)}.`);
}

/** Python's dict(): of a dict or of pairs, and of arguments by name. */
function makeDict(args: readonly Value[], keywords: Keywords): Dict {
  if (args.length > 1) raise("TypeError", `dict expected at most 1 argument, got ${args.length}`);
  const [source] = args;
  const dict = new Dict(source instanceof Dict ? source.entries() : []);
  if (source !== undefined && !(source instanceof Dict)) {
    for (const pair of listOf(source)) {
      const items = listOf(pair);
      if (items.length !== 2) raise("ValueError", `dictionary update sequence element has length ${items.length}; 2 is required`);
      dict.set(items[0]!, items[1]!);
    }
  }
  for (const [name, value] of keywords) dict.set(name, value);
  return dict;
}

function makeRange(args: readonly Value[], keywords: Keywords): Range {
  if (keywords.size > 0) raise("TypeError", "range() takes no keyword arguments");
  if (args.length < 1 || args.length > 3) raise("TypeError", `range expected 1 to 3 arguments, got ${args.length}`);
  const numbers = args.map((value) => {
    if (typeof value === "boolean") return BigInt(value);
    return typeof value === "bigint" ? value : raise("TypeError", `'${typeName(value)}' object cannot be interpreted as an integer`);
  });
  const [start, stop] = numbers.length === 1 ? [0n, numbers[0]!] : [numbers[0]!, numbers[1]!];
  const range = new Range(start, stop, numbers[2] ?? 1n);
  if (range.length > maxRange) raise("OverflowError", `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${maxRange}).`);
  return range;
}

/** What `cycler()` makes. */
class Cycler extends PyObject {
  readonly type = "Cycler";
  readonly #items: readonly Value[];
  #at = 0;

  constructor(items: readonly Value[]) {
    super();
    if (items.length === 0) raise("RuntimeError", "at least one item has to be provided");
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    if (name === "current") return this.#items[this.#at];
    if (name === "items") return [...this.#items];
    if (name === "pos") return BigInt(this.#at);
    if (name === "reset") return new Callable("reset", (args, keywords) => this.#reset(args, keywords), "method");
    return name === "next" ? new Callable("next", (args, keywords) => this.#next(args, keywords), "method") : undefined;
  }

  #next(args: readonly Value[], keywords: Keywords): Value {
    bind({ name: "next", parameters: [], required: 0, byName: false }, args, keywords);
    const current = this.#items[this.#at]!;
    this.#at = (this.#at + 1) % this.#items.length;
    return current;
  }

  #reset(args: readonly Value[], keywords: Keywords): null {
    bind({ name: "reset", parameters: [], required: 0, byName: false }, args, keywords);
    this.#at = 0;
    return null;
  }
}

function makeJoiner(args: readonly Value[], keywords: Keywords): Value {
  const [mark] = bind({ name: "joiner", parameters: ["sep"], required: 0, byName: true }, args, keywords);
  let isUsed = false;
  return new Callable(
    "joiner",
    () => {
      const text = isUsed ? given(mark, () => ", ") : "";
      isUsed = true;
      return text;
    },
    "Joiner",
  );
}

function raiseException(args: readonly Value[], keywords: Keywords): never {
  const [message] = bind({ name: "raise_exception", parameters: ["message"], required: 1, byName: true }, args, keywords);
  return raise("TemplateError", str(required(message)));
}

/** Names that every template knows, as functions of their arguments and the time. */
const functions: Readonly<Record<string, (args: readonly Value[], keywords: Keywords, now: Date) => Value>> = {
  cycler: (args, keywords) =>
    new Cycler(
      bind(
        { name: "cycler", parameters: args.map((_, index) => `argument ${index + 1}`), required: 0, byName: false },
        args,
        keywords,
      ) as Value[],
    ),
  dict: makeDict,
  joiner: makeJoiner,
  lipsum: () => refuse("lipsum()"),
  namespace: (args, keywords) => new Namespace(makeDict(args, keywords)),
  raise_exception: raiseException,
  range: makeRange,
  strftime_now: (args, keywords, now) => {
    const [format] = bind({ name: "strftime_now", parameters: ["format"], required: 1, byName: true }, args, keywords);
    return typeof format === "string"
      ? strftime(now, format)
      : raise("TypeError", `strftime() argument 1 must be str, not ${typeName(required(format))}`);
  },
};

/** Names of the globals. */
export const globalNames: ReadonlySet<string> = new Set(Object.keys(functions));

/** A global by its name; undefined if there is none. */
export function globalOf(name: string, now: Date): Value | undefined {
  if (!Object.hasOwn(functions, name)) return undefined;
  return new Callable(name, (args, keywords) => functions[name]!(args, keywords, now), "function");
}
