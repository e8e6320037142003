import { handle, nested, spend } from "../budget.js";
import { raise } from "../fault.js";
import { PyObject, type Value } from "./value.js";

/** What a Map has as key, so that values that are equal to Python have one: 1, 1.0 and True, a text and the same Markup. */
export function hashKey(value: Value): unknown {
  switch (typeof value) {
    case "string":
    case "bigint":
      return value;
    case "boolean":
      return value ? 1n : 0n;
    case "number":
      return Number.isInteger(value) ? BigInt(value) : value;
  }
  if (Array.isArray(value)) raise("TypeError", "unhashable type: 'list'");
  return value === null ? null : value.hash;
}

/** The key of a tuple with these items. */
export function tupleHash(items: readonly Value[]): unknown {
  spend(items.length);
  return Symbol.for(`tuple ${handle(JSON.stringify(nested(() => items.map((item) => tag(hashKey(item))))))}`);
}

const numbers = new WeakMap<object, number>();
let count = 0;

function tag(hash: unknown): string {
  if (typeof hash === "function" || hash instanceof PyObject) {
    if (!numbers.has(hash)) numbers.set(hash, count++);
    return `object ${numbers.get(hash)}`;
  }
  return typeof hash === "symbol" ? `symbol ${hash.description}` : `${typeof hash} ${hash}`;
}
