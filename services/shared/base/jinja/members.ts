// Attributes, items and slices of values, as Jinja2's immutable sandbox gives them.
import { bind, required } from "./arguments.js";
import { TemplateFailure } from "./failure.js";
import { repr } from "./spelling.js";
import { textMethods } from "./text-methods.js";
import {
  type Arguments,
  Attributes,
  Callable,
  equal,
  keyOf,
  Tuple,
  toInteger,
  tupleOf,
  typeName,
  Undefined,
  View,
  viewOf,
} from "./values.js";

type Method<T> = (value: T, args: Arguments) => unknown;

const dictMethods: Readonly<Record<string, Method<Map<unknown, unknown>>>> = {
  copy: (dict) => new Map(dict),
  get: (dict, args) => {
    const bound = bind("get", args, ["key", "default"]);
    const key = keyOf(required("get", bound, "key"));
    return dict.has(key) ? dict.get(key) : (bound.default ?? null);
  },
  items: (dict) =>
    viewOf(
      "dict_items",
      [...dict].map(([key, value]) => tupleOf(key, value)),
    ),
  keys: (dict) => viewOf("dict_keys", [...dict.keys()]),
  values: (dict) => viewOf("dict_values", [...dict.values()]),
};

const listMethods: Readonly<Record<string, Method<readonly unknown[]>>> = {
  copy: (list) => [...list],
  count: (list, args) => BigInt(list.filter((item) => equal(item, required("count", bind("count", args, ["value"]), "value"))).length),
  index: (list, args) => {
    const value = required("index", bind("index", args, ["value"]), "value");
    const at = list.findIndex((item) => equal(item, value));
    if (at < 0) throw new TemplateFailure(`${repr(value)} is not in list`);
    return BigInt(at);
  },
};

/** Methods that change their value: the sandbox gives them, and their call fails. */
const changing: Readonly<Record<string, readonly string[]>> = {
  dict: ["clear", "pop", "popitem", "setdefault", "update"],
  list: ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
};

/** `value.name`: a method or attribute, else an item of that name. */
export function attributeOf(value: unknown, name: string): unknown {
  if (value instanceof Undefined) value.fail();
  const method = methodOf(value, name);
  if (method !== undefined) return method;
  if (value instanceof Map && value.has(name)) return value.get(name);
  return new Undefined(missing(value, name));
}

/** `value[key]`: an item, else an attribute of that name. */
export function itemOf(value: unknown, key: unknown): unknown {
  if (value instanceof Undefined) value.fail();
  if (value instanceof Map) {
    // What cannot be a key is no key of this dict.
    if (!Array.isArray(key) && !(key instanceof Map) && value.has(keyOf(key))) return value.get(keyOf(key));
    if (key instanceof Tuple && value.has(key)) return value.get(key);
  } else if (
    (typeof value === "string" || (Array.isArray(value) && !(value instanceof View))) &&
    (typeof key === "bigint" || typeof key === "boolean")
  ) {
    const list = typeof value === "string" ? [...value] : value;
    const at = Number(key);
    const found = list.at(at);
    if (at < list.length && at >= -list.length) return found;
    return new Undefined(`${typeName(value)} object has no element ${at}`);
  }
  if (key instanceof Undefined) key.fail();
  const method = typeof key === "string" ? methodOf(value, key) : undefined;
  return method ?? new Undefined(missing(value, key));
}

function missing(value: unknown, key: unknown): string {
  const of = value === null ? "None" : `${typeName(value)} object`;
  return typeof key === "string"
    ? `'${of}' has no attribute '${key}'`
    : `${of} has no element ${typeof key === "bigint" ? key : typeName(key)}`;
}

/** A method or attribute; undefined if the value has none of that name. */
export function methodOf(value: unknown, name: string): unknown {
  if (value instanceof Attributes) return value.values.get(name);
  // A group of the filter groupby is a named tuple.
  if (value instanceof Tuple && (name === "grouper" || name === "list") && Object.hasOwn(value, name))
    return (value as unknown as Record<string, unknown>)[name];
  const bound = <T>(methods: Readonly<Record<string, Method<T>>>, own: T) => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return method && new Callable(name, (args) => method(own, args));
  };
  const kind = typeName(value);
  if (changing[kind]?.includes(name)) return new Undefined(`access to attribute '${name}' of '${kind}' object is unsafe.`);
  if (typeof value === "string") return bound(textMethods, value);
  if (value instanceof Map) return bound(dictMethods, value);
  return Array.isArray(value) && !(value instanceof View) ? bound(listMethods, value) : undefined;
}

/** `value[start:stop:step]`. */
export function sliceOf(value: unknown, start: unknown, stop: unknown, step: unknown): unknown {
  if (value instanceof Undefined) value.fail();
  if (typeof value !== "string" && (!Array.isArray(value) || value instanceof View))
    return new Undefined(`${typeName(value)} object has no element slice`);
  const list = typeof value === "string" ? [...value] : value;
  const by = step === undefined || step === null ? 1 : toInteger(step, "a slice's step");
  if (by === 0) throw new TemplateFailure("slice step cannot be zero");
  const [low, high] = by > 0 ? [0, list.length] : [-1, list.length - 1];
  const place = (index: unknown, fallback: number) => {
    if (index === undefined || index === null) return fallback;
    const at = toInteger(index, "a slice's index");
    return Math.min(high, Math.max(low, at < 0 ? at + list.length : at));
  };
  const [from, to] = [place(start, by > 0 ? low : high), place(stop, by > 0 ? high : low)];
  const found: unknown[] = [];
  for (let i = from; by > 0 ? i < to : i > to; i += by) found.push(list[i]);
  if (typeof value === "string") return found.join("");
  return value instanceof Tuple ? tupleOf(...found) : found;
}

/** A call. @throws TemplateFailure for what cannot be called */
export function callOf(callee: unknown, args: Arguments): unknown {
  if (callee instanceof Undefined) callee.fail();
  if (callee instanceof Attributes) {
    const call = callee.values.get("__call__");
    if (call instanceof Callable) return call.call(args);
  }
  if (callee instanceof Callable) return callee.call(args);
  throw new TemplateFailure(`'${typeName(callee)}' object is not callable`);
}
