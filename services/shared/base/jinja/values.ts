// Python's values as the engine has them: int is bigint, float is number, str, bool and None are JavaScript's own,
// list is an array, tuple a Tuple, dict a Map; what a template is not given is an Undefined.
import { SpelledNumber } from "../json.js";
import { TemplateFailure } from "./failure.js";

/** A tuple: a list that prints with parentheses and does not change. */
export class Tuple extends Array<unknown> {
  /** What is made of a tuple's items by map() and filter() is a list. */
  static override get [Symbol.species]() {
    return Array;
  }
}

/** A tuple of items. */
export function tupleOf(...items: readonly unknown[]): Tuple {
  const tuple = new Tuple();
  tuple.push(...items);
  return tuple;
}

/** What a dict's keys(), values() and items() give: iterated over like a list, printed by its kind. */
export class View extends Array<unknown> {
  kind = "";
  static override get [Symbol.species]() {
    return Array;
  }
}

/** A view of a dict. */
export function viewOf(kind: "dict_items" | "dict_keys" | "dict_values", items: readonly unknown[]): View {
  const view = new View();
  view.kind = kind;
  view.push(...items);
  return view;
}

/** Text that is HTML already, as the filters `safe` and `escape` give it: what is joined to it is escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };

/** Text as HTML has it; what is HTML stays. */
export const escaped = (value: string | Markup): string =>
  value instanceof Markup ? value.text : value.replace(/[&<>'"]/g, (letter) => entities[letter]!);

/** A value that is not there: prints as nothing, is false, and fails with its reason when anything is done with it. */
export class Undefined {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }

  fail(): never {
    throw new TemplateFailure(this.reason);
  }
}

/** Arguments of a call: those by position, and those by name. */
export interface Arguments {
  readonly list: readonly unknown[];
  readonly named: ReadonlyMap<string, unknown>;
}

/** Something that a template calls. */
export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => unknown;

  constructor(name: string, call: (args: Arguments) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** An object with attributes that a template reads (`loop`, `namespace()`, a group): never printed as Python prints it. */
export class Attributes {
  readonly kind: string;
  readonly values: Map<string, unknown>;

  constructor(kind: string, values: Map<string, unknown>) {
    this.kind = kind;
    this.values = values;
  }
}

/** A JavaScript value as the engine has it. Whole numbers are ints, functions are called with their positional arguments. */
export function toPython(value: unknown): unknown {
  if (value === undefined || value === null || typeof value === "string" || typeof value === "boolean") return value ?? null;
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
  if (value instanceof SpelledNumber) return /[.eE]/.test(value.text) ? Number(value.text) : BigInt(value.text);
  if (typeof value === "function") return new Callable(value.name, ({ list }) => toPython(value(...list)));
  if (value instanceof Map || value instanceof Callable || value instanceof Undefined || value instanceof Attributes) return value;
  if (Array.isArray(value)) return value.map(toPython);
  if (typeof value === "object") return new Map(Object.entries(value).map(([key, part]) => [key, toPython(part)]));
  throw new TemplateFailure(`a template cannot be given ${typeof value}`);
}

/** Python's truth of a value. */
export function truth(value: unknown): boolean {
  if (value instanceof Undefined || value === null || value === "" || value === false) return false;
  if (value === 0n || value === 0) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Markup) return value.text !== "";
  return !(value instanceof Map && value.size === 0);
}

/** Whether a value is a number to Python: bools are. */
export const isNumber = (value: unknown): value is bigint | number | boolean =>
  typeof value === "bigint" || typeof value === "number" || typeof value === "boolean";

/** A bool as the int that it is to Python's arithmetic. */
export const unbool = (value: bigint | number | boolean): bigint | number => (typeof value === "boolean" ? BigInt(value) : value);

/** Whether an int or float is the same number as another: 1 is 1.0. */
export const sameNumber = (a: bigint | number, b: bigint | number): boolean =>
  !(a < b) && !(a > b) && !Number.isNaN(Number(a)) && !Number.isNaN(Number(b));

/** Python's `==`. */
export function equal(a: unknown, b: unknown): boolean {
  if (isNumber(a) && isNumber(b)) return sameNumber(unbool(a), unbool(b));
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof Markup) return equal(a.text, b);
  if (b instanceof Markup) return a === b.text;
  if (Array.isArray(a) && Array.isArray(b))
    return a instanceof Tuple === b instanceof Tuple && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equal(value, b.get(key)));
  return a === b;
}

/** Python's order of two values: below 0, 0 or above. @throws TemplateFailure as Python raises a TypeError */
export function compare(a: unknown, b: unknown): number {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [unbool(a), unbool(b)];
    return x < y ? -1 : x > y ? 1 : sameNumber(x, y) ? 0 : Number.NaN;
  }
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (!equal(a[i], b[i])) return compare(a[i], b[i]);
    return a.length - b.length;
  }
  if (a instanceof Undefined) a.fail();
  if (b instanceof Undefined) b.fail();
  throw new TemplateFailure(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** By code points, as Python compares text. */
function compareText(a: string, b: string): number {
  const [x, y] = [[...a], [...b]];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
  return x.length - y.length;
}

/** What Python calls a value's type. */
export function typeName(value: unknown): string {
  if (value === null) return "NoneType";
  if (typeof value === "string") return "str";
  if (value instanceof Markup) return "Markup";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "float";
  if (value instanceof Tuple) return "tuple";
  if (value instanceof View) return value.kind;
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  if (value instanceof Undefined) return "Undefined";
  return value instanceof Attributes ? value.kind : "function";
}

/** What a value gives when Python iterates over it. @throws TemplateFailure for what cannot be iterated over */
export function iterate(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [...value];
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof Undefined) return [];
  throw new TemplateFailure(`'${typeName(value)}' object is not iterable`);
}

/** A dict's key as it is found again: True is 1 to Python, 1.0 is too. @throws TemplateFailure for what cannot be a key */
export function keyOf(value: unknown): unknown {
  if (typeof value === "boolean") return BigInt(value);
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if ((Array.isArray(value) && !(value instanceof Tuple)) || value instanceof Map)
    throw new TemplateFailure(`unhashable type: '${typeName(value)}'`);
  return value;
}

/** A value as a whole JavaScript number. @throws TemplateFailure if it is no int */
export function toInteger(value: unknown, what: string): number {
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  if (value instanceof Undefined) value.fail();
  throw new TemplateFailure(`${what} must be an int, not ${typeName(value)}`);
}

/** A value as text. @throws TemplateFailure if it is no str */
export function toText(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) value.fail();
  throw new TemplateFailure(`${what} must be a str, not ${typeName(value)}`);
}
