import { RetortError } from "../../../../base/errors.js";
import { shown } from "../../config/shown.js";
import type { GgufValue } from "./values.js";

/** Typed access to a GGUF file's metadata, with errors that name file, key, value and what is supported. It notes what was read. */
export class GgufFields {
  readonly path: string;
  readonly #metadata: ReadonlyMap<string, GgufValue>;
  readonly #read: Set<string>;
  readonly #prefix: string;

  constructor(metadata: ReadonlyMap<string, GgufValue>, path: string, prefix = "", read: Set<string> = new Set()) {
    this.#metadata = metadata;
    this.path = path;
    this.#prefix = prefix;
    this.#read = read;
  }

  /** The keys below a prefix, such as `llama.`. */
  under(prefix: string): GgufFields {
    return new GgufFields(this.#metadata, this.path, `${this.#prefix}${prefix}`, this.#read);
  }

  /** A key's value as it came; undefined if it is absent. */
  get(key: string): GgufValue | undefined {
    this.#read.add(this.#prefix + key);
    return this.#metadata.get(this.#prefix + key);
  }

  text(key: string, fallback?: string): string {
    const value = this.get(key) ?? fallback;
    if (typeof value !== "string") throw this.refused(key, "a string");
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback;
    if (typeof value !== "boolean") throw this.refused(key, "true, false");
    return value;
  }

  /** A finite number above 0. */
  positive(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) throw this.refused(key, "a positive number");
    return value;
  }

  /** A whole number from 1 on. Some keys have a list of one number per layer, which must be the same. */
  size(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    const first = Array.isArray(value) ? value[0] : value;
    if (Array.isArray(value) && value.some((one) => one !== first)) throw this.refused(key, "the same number in every layer");
    if (!Number.isSafeInteger(first) || (first as number) < 1) throw this.refused(key, "a positive whole number");
    return first as number;
  }

  /** A token id below `size`; undefined if the key is absent. */
  id(key: string, size: number): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) >= size)
      throw this.refused(key, `the id of one of the ${size} tokens`);
    return value as number;
  }

  /** A list of strings; undefined if the key is absent. */
  texts(key: string): readonly string[] | undefined {
    return this.#list(key, "strings", (one): one is string => typeof one === "string");
  }

  /** A list of numbers; undefined if the key is absent. */
  numbers(key: string): readonly number[] | undefined {
    return this.#list(key, "numbers", (one): one is number => typeof one === "number");
  }

  /** Keys of the metadata that begin with the prefix, without it. */
  keys(): string[] {
    return [...this.#metadata.keys()].filter((key) => key.startsWith(this.#prefix)).map((key) => key.slice(this.#prefix.length));
  }

  /** Those of {@link keys} that haven't been read. */
  unread(): string[] {
    return this.keys().filter((key) => !this.#read.has(this.#prefix + key));
  }

  /** An error about a key. @param supported what would do, as the end of a sentence */
  refused(key: string, supported: string): RetortError {
    const value = this.#metadata.get(this.#prefix + key);
    const found = value === undefined ? "is missing" : `is ${shown(value)}`;
    return new RetortError("InvalidArgument", `${this.path}: ${this.#prefix}${key} ${found}; supported: ${supported}`, {
      fieldPath: this.#prefix + key,
    });
  }

  #list<T extends GgufValue>(key: string, what: string, is: (one: GgufValue) => one is T): readonly T[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every(is)) throw this.refused(key, `a list of ${what}`);
    return value;
  }
}
