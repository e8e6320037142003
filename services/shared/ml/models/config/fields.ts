import { RetortError } from "../../../base/errors.js";
import { shown } from "./shown.js";

/** The keys of a JSON object, as they came. */
export type Json = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object, neither null nor a list. */
export const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** Typed access to a config's fields, with errors that name file, field, value and what is supported. */
export class Fields {
  readonly raw: Json;
  readonly #file: string;
  readonly #prefix: string;
  readonly #aliases: Readonly<Record<string, string>>;

  /** @param aliases other names that fields may have, by the names that they are asked for */
  constructor(raw: Json, file: string, prefix = "", aliases: Readonly<Record<string, string>> = {}) {
    this.raw = raw;
    this.#file = file;
    this.#prefix = prefix;
    this.#aliases = aliases;
  }

  /** A field as it came; null counts as absent. */
  get(field: string): unknown {
    return this.raw[this.#name(field)] ?? undefined;
  }

  /** Whether a field is there, be it null. */
  has(field: string): boolean {
    return this.#name(field) in this.raw;
  }

  /** The name under which a field is there, or would be. */
  #name(field: string): string {
    const alias = this.#aliases[field];
    return alias !== undefined && !(field in this.raw) ? alias : field;
  }

  text(field: string, fallback?: string): string {
    const value = this.get(field) ?? fallback;
    if (typeof value !== "string") throw this.refused(field, "a string");
    return value;
  }

  flag(field: string, fallback = false): boolean {
    const value = this.get(field) ?? fallback;
    if (typeof value !== "boolean") throw this.refused(field, "true, false");
    return value;
  }

  /** A whole number from 1 on. */
  size(field: string, fallback?: number): number {
    const value = this.get(field) ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) throw this.refused(field, "a positive whole number", value);
    return value;
  }

  /** A whole number from 0 on. */
  count(field: string, fallback?: number): number {
    const value = this.get(field) ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw this.refused(field, "a whole number", value);
    return value;
  }

  /** A number above 0. */
  positive(field: string, fallback?: number): number {
    const value = this.get(field) ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) throw this.refused(field, "a positive number", value);
    return value;
  }

  /** A list of so many numbers above 0. */
  numbers(field: string, length: number): number[] {
    const value = this.get(field);
    if (!Array.isArray(value) || value.length !== length || !value.every((x): x is number => typeof x === "number" && x > 0))
      throw this.refused(field, `a list of ${length} positive numbers`);
    return value;
  }

  /** Token ids: one, a list, or none. */
  ids(field: string): number[] {
    const value = this.get(field) ?? [];
    const list = Array.isArray(value) ? (value as unknown[]) : [value];
    if (!list.every((id): id is number => typeof id === "number" && Number.isInteger(id)))
      throw this.refused(field, "a token id, or a list");
    // Some configs say -1 where they mean none.
    return list.filter((id) => id >= 0);
  }

  /** The object at a field, with errors that name both; absent: empty, or another. */
  within(field: string, fallback: Json = {}): Fields {
    const value = this.get(field) ?? fallback;
    if (!isObject(value)) throw this.refused(field, "an object");
    return new Fields(value, this.#file, `${this.#prefix}${field}.`);
  }

  /** The same place of the same file, with other fields. */
  replaced(raw: Json): Fields {
    return new Fields(raw, this.#file, this.#prefix, this.#aliases);
  }

  refused(field: string, supported: string, value: unknown = this.raw[this.#name(field)]): RetortError {
    const found = value === undefined ? "is missing" : `is ${shown(value)}`;
    return this.error(`${this.#prefix}${this.#name(field)} ${found}; supported: ${supported}`);
  }

  error(what: string): RetortError {
    return new RetortError("InvalidArgument", `${this.#file}: ${what}`);
  }
}
