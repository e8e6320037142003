import { handle, nested, spend } from "../budget.js";
import { raise } from "../fault.js";
import { codeOf } from "./code-point.js";
import { Dict, DictView, Range, Tuple } from "./containers.js";
import { isWide, iterate, listOf } from "./iterate.js";
import { Markup } from "./markup.js";
import { isUndefined } from "./undefined.js";
import { PyObject, typeName, type Value } from "./value.js";

/** A text or number as JavaScript compares it; undefined for other values. */
function scalar(value: Value): string | bigint | number | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (value instanceof Markup) return value.text;
  return typeof value === "object" ? undefined : value;
}

/** Python's ==. */
export function equal(left: Value, right: Value): boolean {
  spend(1);
  if (left === right) return !(typeof left === "number" && Number.isNaN(left));
  const [a, b] = [scalar(left), scalar(right)];
  if (a !== undefined || b !== undefined) {
    if (a === undefined || b === undefined || (typeof a === "string") !== (typeof b === "string")) return false;
    // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of one value are equal in Python.
    return a == b;
  }
  if (left === null || right === null) return false;
  if (Array.isArray(left) && Array.isArray(right)) return equalItems(left, right);
  if (left instanceof Tuple && right instanceof Tuple) return equalItems(left.items, right.items);
  if (left instanceof Range && right instanceof Range) return equalItems(listOf(left), listOf(right));
  if (left instanceof Dict && right instanceof Dict) {
    const same = () =>
      left.entries().every(([key, value]) => {
        const other = right.get(key);
        return other !== undefined && equal(value, other);
      });
    return left.length === right.length && nested(same);
  }
  if (left instanceof DictView && right instanceof DictView && left.type !== "dict_values" && left.type === right.type) {
    const others = listOf(right);
    return left.length === right.length && listOf(left).every((item) => others.some((other) => equal(item, other)));
  }
  return isUndefined(left as Value) && isUndefined(right as Value);
}

function equalItems(left: readonly Value[], right: readonly Value[]): boolean {
  const same = () => left.every((item, index) => item === right[index] || equal(item, right[index]!));
  return left.length === right.length && nested(same);
}

/** Whether left comes before right, as Python's <; raises TypeError for values that have no order. */
export function less(left: Value, right: Value, operator = "<"): boolean {
  spend(1);
  const [a, b] = [scalar(left), scalar(right)];
  if (a !== undefined && b !== undefined && (typeof a === "string") === (typeof b === "string"))
    return typeof a === "string" ? lessText(a, b as string) : a < (b as bigint | number);
  if (Array.isArray(left) && Array.isArray(right)) return lessItems(left, right);
  if (left instanceof Tuple && right instanceof Tuple) return lessItems(left.items, right.items);
  for (const side of [left, right]) if (isUndefined(side)) side.fail();
  if (left instanceof DictView && right instanceof DictView)
    raise("Unimplemented", "comparing the views of dicts by size is not supported here");
  return raise("TypeError", `'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`);
}

/** By code points, where JavaScript goes by units of UTF-16. */
function lessText(left: string, right: string): boolean {
  handle(left);
  handle(right);
  if (!isWide(left) && !isWide(right)) return left < right;
  const [a, b] = [[...left], [...right]];
  const at = a.findIndex((character, index) => character !== b[index]);
  if (at === -1) return a.length < b.length;
  return at < b.length && codeOf(a[at]!) < codeOf(b[at]!);
}

function lessItems(left: readonly Value[], right: readonly Value[]): boolean {
  for (let index = 0; index < left.length && index < right.length; index++) {
    if (left[index] !== right[index] && !equal(left[index]!, right[index]!)) return nested(() => less(left[index]!, right[index]!));
  }
  return left.length < right.length;
}

/** One comparison by its operator. */
export function compare(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "<":
      return less(left, right);
    case ">":
      return less(right, left, ">");
    case "<=":
      return lessOrEqual(left, right, "<=");
    case ">=":
      return lessOrEqual(right, left, ">=");
    case "in":
      return contains(right, left);
    default:
      return !contains(right, left);
  }
}

function lessOrEqual(left: Value, right: Value, operator: string): boolean {
  if (less(left, right, operator)) return true;
  return equal(left, right);
}

/** Python's `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (typeof container === "string" || container instanceof Markup) {
    const text = scalar(item);
    if (typeof text !== "string") raise("TypeError", `'in <string>' requires string as left operand, not ${typeName(item)}`);
    return (scalar(container) as string).includes(text);
  }
  if (container instanceof Dict) return container.has(item);
  if (container instanceof DictView && container.type === "dict_keys") return container.dict.has(item);
  if (!Array.isArray(container) && !(container instanceof PyObject && container.iterate() !== undefined))
    raise("TypeError", `argument of type '${typeName(container)}' is not iterable`);
  const iterator = iterate(container);
  for (let next = iterator.next(); !next.done; next = iterator.next()) if (next.value === item || equal(next.value, item)) return true;
  return false;
}

/** Python's sorted() by keys: stable, also when reversed. */
export function sorted<T>(items: readonly T[], key: (item: T) => Value, reverse = false): T[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const order = (a: { key: Value }, b: { key: Value }) => (less(a.key, b.key) ? -1 : less(b.key, a.key) ? 1 : 0);
  keyed.sort(reverse ? (a, b) => order(b, a) : order);
  return keyed.map(({ item }) => item);
}
