import { raise } from "../fault.js";

/**
 * A value of a template. JavaScript's bigint is Python's int, number is float, null is None, an array is a list; the rest are
 * {@link PyObject}s.
 */
export type Value = string | boolean | null | bigint | number | Value[] | PyObject;

/** Arguments by name. */
export type Keywords = ReadonlyMap<string, Value>;

/** No arguments by name. */
export const noKeywords: Keywords = new Map();

/** A value that JavaScript has no type for. What a class leaves out, Python refuses too. */
export abstract class PyObject {
  /** Name of Python's type. */
  abstract readonly type: string;

  /** An attribute that Python's object has; undefined if it has none of that name. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }

  /** Python's repr(); what would print an address is refused. */
  repr(): string {
    return raise("Unimplemented", `printing a ${this.type} shows an address in memory; print its items or its result instead`);
  }

  /** Python's str(). */
  str(): string {
    return this.repr();
  }

  /** Python's len(); undefined if it has none. */
  get length(): number | undefined {
    return undefined;
  }

  /** Python's bool(). */
  get truth(): boolean {
    return this.length !== 0;
  }

  /** Python's iter(); undefined if it has none. */
  iterate(): Iterator<Value> | undefined {
    return undefined;
  }

  /** What stands in brackets behind it; undefined for a key that is not there or cannot be one. */
  item(_key: Value): Value | undefined {
    return undefined;
  }

  /** What a Map has as key for it: equal for values that are equal to Python. */
  get hash(): unknown {
    return this;
  }

  /** Python's __call__; undefined if it has none. */
  readonly call?: (args: readonly Value[], keywords: Keywords) => Value;
}

/** What is there, or what stands in for it; null (None) is there. */
export function given<T extends Value>(value: Value | undefined, otherwise: () => T): Value {
  return value === undefined ? otherwise() : value;
}

/** Name of a value's type, as Python's type(x).__name__. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (Array.isArray(value)) return "list";
  if (value instanceof PyObject) return value.type;
  return { string: "str", boolean: "bool", bigint: "int", number: "float" }[typeof value as "string" | "boolean" | "bigint" | "number"];
}
