import { handle, handleSize } from "./budget.js";
import { raise, refuse } from "./fault.js";
import { formatFields } from "./formats/format-fields.js";
import { dictMethods } from "./methods/dict.js";
import { listMethods, rangeMethods, tupleMethods, viewMethods } from "./methods/list.js";
import type { Methods } from "./methods/method.js";
import { floatAttributes, intAttributes } from "./methods/numbers.js";
import { strMethods } from "./methods/str.js";
import { Callable, Dict, DictView, Range, Tuple } from "./values/containers.js";
import { characters, isWide } from "./values/iterate.js";
import { Markup } from "./values/markup.js";
import { repr } from "./values/repr.js";
import { isUndefined, Undefined } from "./values/undefined.js";
import { given, PyObject, typeName, type Value } from "./values/value.js";

/** Attributes that every object of Python has; the sandbox keeps templates from all that begin with an underscore. */
const ofEveryObject = new Set(
  ["class", "delattr", "dir", "doc", "eq", "format", "ge", "getattribute", "getstate", "gt", "hash", "init", "init_subclass", "le"]
    .concat(["lt", "ne", "new", "reduce", "reduce_ex", "repr", "setattr", "sizeof", "str", "subclasshook", "len", "getitem", "iter"])
    .concat(["contains", "add", "mul", "bool", "int", "float", "call", "dict", "module"])
    .map((name) => `__${name}__`),
);

function methodsOf(value: Value): Methods | undefined {
  if (typeof value === "string" || value instanceof Markup) return strMethods;
  if (value instanceof Dict) return dictMethods;
  if (Array.isArray(value)) return listMethods;
  if (value instanceof Tuple) return tupleMethods;
  if (value instanceof Range) return rangeMethods;
  return value instanceof DictView ? viewMethods : undefined;
}

/** str.format and str.format_map, whose fields look up attributes within the sandbox. */
function formatMethod(text: string, name: "format" | "format_map"): Callable {
  return new Callable(name, (args, keywords) => {
    if (name === "format_map" && (args.length !== 1 || keywords.size > 0)) raise("TypeError", "format_map() takes exactly one argument");
    const named = (key: string): Value | undefined => {
      if (name === "format") return keywords.get(key);
      return args[0] instanceof Dict ? args[0].get(key) : refuse("format_map() of anything but a dict");
    };
    const get = (key: bigint | string): Value => {
      if (typeof key === "string") return given(named(key), () => raise("KeyError", repr(key)));
      return given(name === "format" ? args[Number(key)] : undefined, () =>
        raise("IndexError", "Replacement index out of range for positional args tuple"),
      );
    };
    return handle(formatFields(handle(text), { get, attribute: getAttribute, item: getItem }));
  });
}

/** The attribute of a value, as Python's getattr; undefined if it has none of that name. */
function ownAttribute(value: Value, name: string): Value | undefined {
  if (name.startsWith("__") && ofEveryObject.has(name)) return unsafe(value, name);
  if (name === "format" || name === "format_map") {
    if (typeof value === "string") return formatMethod(value, name);
    if (value instanceof Markup) return refuse(`${name}() of a text that is marked safe`);
  }
  const methods = methodsOf(value);
  if (methods !== undefined && Object.hasOwn(methods, name)) {
    const method = methods[name]!;
    if (method === "changes") return unsafe(value, name);
    if (method === "lacks") return refuse(`${typeName(value)}.${name}()`);
    return new Callable(name, (args, keywords) => handle(method(handle(value), args, keywords)));
  }
  if (value instanceof PyObject) return value.attribute(name);
  const attributes =
    typeof value === "bigint" || typeof value === "boolean" ? intAttributes : typeof value === "number" ? floatAttributes : {};
  return Object.hasOwn(attributes, name) ? attributes[name]!(value) : undefined;
}

function unsafe(value: Value, name: string): Undefined {
  return new Undefined(`access to attribute '${name}' of '${typeName(value)}' object is unsafe.`, "SecurityError");
}

/** `value.name`: the attribute, else the item of that name, else Undefined. */
export function getAttribute(value: Value, name: string): Value {
  const attribute = ownAttribute(value, name);
  if (attribute !== undefined) return attribute;
  return given(value instanceof Dict ? value.get(name) : undefined, () => missing(value, name));
}

/** The attribute filter's `value | attr(name)`: never an item. */
export function attributeAlone(value: Value, name: string): Value {
  return given(ownAttribute(value, name), () => missing(value, name));
}

/** `value[key]`: the item, else the attribute of that name, else Undefined. */
export function getItem(value: Value, key: Value): Value {
  const item = ownItem(value, key);
  if (item !== undefined) return item;
  const name = key instanceof Markup ? key.text : key;
  return given(typeof name === "string" ? ownAttribute(value, name) : undefined, () => missing(value, key));
}

function ownItem(value: Value, key: Value): Value | undefined {
  if (isUndefined(value)) return value.fail();
  if (value instanceof Dict) return Array.isArray(key) || key instanceof Dict || key instanceof DictView ? undefined : value.get(key);
  const index = typeof key === "boolean" ? BigInt(key) : key;
  if (typeof index !== "bigint") return undefined;
  if (Array.isArray(value)) return at(value, index);
  if (typeof value === "string") {
    const wide = isWide(handle(value));
    // Each character becomes a text of its own.
    if (wide) handleSize(value.length * 8);
    return at(wide ? characters(value) : value, index);
  }
  if (value instanceof Markup) {
    handle(value);
    const character = at(characters(value.text), index);
    return character === undefined ? undefined : new Markup(character as string);
  }
  if (value instanceof Tuple) return at(value.items, index);
  if (value instanceof Range) {
    const place = Number(index < 0n ? index + BigInt(value.length) : index);
    return place >= 0 && place < value.length ? value.at(place) : undefined;
  }
  return value instanceof PyObject ? value.item(key) : undefined;
}

function at(items: string | readonly Value[], index: bigint): Value | undefined {
  return items[Number(index < 0n ? index + BigInt(items.length) : index)];
}

function missing(value: Value, key: Value): Undefined {
  const of = value === null ? "None" : `${typeName(value)} object`;
  const name = value === null ? "None" : `'${of}'`;
  return new Undefined(typeof key === "string" ? `${name} has no attribute '${key}'` : `${of} has no element ${repr(key)}`);
}

/** `value[start:stop:step]`; raises what Python raises. */
export function getSlice(value: Value, start: Value, stop: Value, step: Value): Value {
  if (isUndefined(value)) return value.fail();
  const stride = part(step) ?? 1n;
  if (stride === 0n) raise("ValueError", "slice step cannot be zero");
  handle(value);
  const pick = <T>(items: readonly T[]): T[] => indices(items.length, part(start), part(stop), stride).map((index) => items[index]!);
  if (typeof value === "string") return pick(characters(value)).join("");
  if (value instanceof Markup) return new Markup(pick(characters(value.text)).join(""));
  if (Array.isArray(value)) return pick(value);
  if (value instanceof Tuple) return new Tuple(pick(value.items));
  if (value instanceof Range) return rangeSlice(value, part(start), part(stop), stride);
  if (value instanceof Dict) return raise("TypeError", "unhashable type: 'slice'");
  return raise("TypeError", `'${typeName(value)}' object is not subscriptable`);
}

function part(value: Value): bigint | undefined {
  if (value === null) return undefined;
  if (typeof value === "boolean") return BigInt(value);
  return typeof value === "bigint" ? value : raise("TypeError", "slice indices must be integers or None or have an __index__ method");
}

function bounds(length: number, start: bigint | undefined, stop: bigint | undefined, step: bigint): readonly [bigint, bigint] {
  const size = BigInt(length);
  const [low, high] = step > 0n ? [0n, size] : [-1n, size - 1n];
  const clamp = (value: bigint) => {
    const from = value < 0n ? value + size : value;
    return from < low ? low : from > high ? high : from;
  };
  return [start === undefined ? (step > 0n ? low : high) : clamp(start), stop === undefined ? (step > 0n ? high : low) : clamp(stop)];
}

function indices(length: number, start: bigint | undefined, stop: bigint | undefined, step: bigint): number[] {
  const [from, to] = bounds(length, start, stop, step).map(Number) as [number, number];
  const stride = Number(step);
  const found: number[] = [];
  for (let index = from; stride > 0 ? index < to : index > to; index += stride) found.push(index);
  return found;
}

function rangeSlice(range: Range, start: bigint | undefined, stop: bigint | undefined, step: bigint): Range {
  const [from, to] = bounds(range.length, start, stop, step);
  return new Range(range.start + from * range.step, range.start + to * range.step, range.step * step);
}
