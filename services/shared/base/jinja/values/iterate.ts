import { spend } from "../budget.js";
import { raise } from "../fault.js";
import { Markup } from "./markup.js";
import { PyObject, typeName, type Value } from "./value.js";

/** Python's iter(); raises TypeError for what has no items. */
export function iterate(value: Value): Iterator<Value> {
  if (typeof value === "string") return value[Symbol.iterator]();
  if (Array.isArray(value)) return value[Symbol.iterator]();
  const iterator = value instanceof PyObject ? value.iterate() : undefined;
  return iterator ?? raise("TypeError", `'${typeName(value)}' object is not iterable`);
}

/** Whether Python's iter() would take it. */
export function isIterable(value: Value): boolean {
  return typeof value === "string" || Array.isArray(value) || (value instanceof PyObject && value.iterate() !== undefined);
}

/** Python's list(). */
export function listOf(value: Value): Value[] {
  if (Array.isArray(value)) {
    spend(value.length);
    return value;
  }
  const items: Value[] = [];
  const iterator = iterate(value);
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    spend(1);
    items.push(next.value);
  }
  return items;
}

/** Python's bool(). */
export function truth(value: Value): boolean {
  if (typeof value === "boolean") return value;
  if (value === null) return false;
  switch (typeof value) {
    case "string":
      return value !== "";
    case "bigint":
      return value !== 0n;
    case "number":
      return value !== 0;
  }
  return Array.isArray(value) ? value.length > 0 : value.truth;
}

/** Python's len(), of texts in code points; raises TypeError for what has none. */
export function len(value: Value): bigint {
  if (typeof value === "string") return BigInt(codePoints(value));
  if (value instanceof Markup) return BigInt(codePoints(value.text));
  const length = Array.isArray(value) ? value.length : value instanceof PyObject ? value.length : undefined;
  return length === undefined ? raise("TypeError", `object of type '${typeName(value)}' has no len()`) : BigInt(length);
}

const surrogate = /[\ud800-\udfff]/;

/** Whether a text has characters that are two units in JavaScript. */
export function isWide(text: string): boolean {
  return surrogate.test(text);
}

/** Number of a text's code points. */
export function codePoints(text: string): number {
  if (!isWide(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** A text as an array of its code points. */
export function characters(text: string): string[] {
  return isWide(text) ? [...text] : text.split("");
}
