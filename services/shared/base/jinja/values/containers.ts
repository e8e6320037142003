import { raise } from "../fault.js";
import { hashKey, tupleHash } from "./hash.js";
import { repr } from "./repr.js";
import { type Keywords, PyObject, type Value } from "./value.js";

/** Python's tuple; the fields of a named one are attributes. */
export class Tuple extends PyObject {
  readonly type = "tuple";
  readonly items: readonly Value[];
  readonly #fields: readonly string[];

  constructor(items: readonly Value[], fields: readonly string[] = []) {
    super();
    this.items = items;
    this.#fields = fields;
  }

  override attribute(name: string): Value | undefined {
    const at = this.#fields.indexOf(name);
    return at === -1 ? undefined : this.items[at];
  }

  override get length(): number {
    return this.items.length;
  }

  override iterate(): Iterator<Value> {
    return this.items[Symbol.iterator]();
  }

  override get hash(): unknown {
    return tupleHash(this.items);
  }

  override repr(): string {
    return this.items.length === 1 ? `(${repr(this.items[0]!)},)` : `(${this.items.map(repr).join(", ")})`;
  }
}

/** Python's dict, in the order of its keys' first appearance. */
export class Dict extends PyObject {
  readonly type = "dict";
  readonly #entries = new Map<unknown, { readonly key: Value; value: Value }>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    for (const [key, value] of entries) this.set(key, value);
  }

  /** @throws TypeError for a key that cannot be one */
  get(key: Value): Value | undefined {
    return this.#entries.get(hashKey(key))?.value;
  }

  has(key: Value): boolean {
    return this.#entries.has(hashKey(key));
  }

  /** For who makes the dict; templates cannot change one. */
  set(key: Value, value: Value): void {
    const hash = hashKey(key);
    const entry = this.#entries.get(hash);
    if (entry === undefined) this.#entries.set(hash, { key, value });
    else entry.value = value;
  }

  keys(): Value[] {
    return [...this.#entries.values()].map(({ key }) => key);
  }

  values(): Value[] {
    return [...this.#entries.values()].map(({ value }) => value);
  }

  entries(): (readonly [Value, Value])[] {
    return [...this.#entries.values()].map(({ key, value }) => [key, value] as const);
  }

  override item(key: Value): Value | undefined {
    return this.get(key);
  }

  override get length(): number {
    return this.#entries.size;
  }

  override iterate(): Iterator<Value> {
    return this.keys()[Symbol.iterator]();
  }

  override get hash(): never {
    return raise("TypeError", "unhashable type: 'dict'");
  }

  override repr(): string {
    return `{${this.entries()
      .map(([key, value]) => `${repr(key)}: ${repr(value)}`)
      .join(", ")}}`;
  }
}

/** dict.keys(), dict.values() or dict.items(). */
export class DictView extends PyObject {
  readonly type: "dict_keys" | "dict_values" | "dict_items";
  readonly dict: Dict;

  constructor(type: DictView["type"], dict: Dict) {
    super();
    this.type = type;
    this.dict = dict;
  }

  /** What the view shows, in order. */
  items(): Value[] {
    if (this.type === "dict_keys") return this.dict.keys();
    return this.type === "dict_values" ? this.dict.values() : this.dict.entries().map((entry) => new Tuple(entry));
  }

  override get length(): number {
    return this.dict.length;
  }

  override iterate(): Iterator<Value> {
    return this.items()[Symbol.iterator]();
  }

  override get hash(): unknown {
    return this.type === "dict_values" ? this : raise("TypeError", `unhashable type: '${this.type}'`);
  }

  override repr(): string {
    return `${this.type}(${repr(this.items())})`;
  }
}

/** Python's range. */
export class Range extends PyObject {
  readonly type = "range";
  readonly start: bigint;
  readonly step: bigint;
  readonly #stop: bigint;
  readonly #length: number;

  constructor(start: bigint, stop: bigint, step: bigint) {
    super();
    if (step === 0n) raise("ValueError", "range() arg 3 must not be zero");
    [this.start, this.#stop, this.step] = [start, stop, step];
    const span = step > 0n ? stop - start : start - stop;
    const stride = step > 0n ? step : -step;
    this.#length = span <= 0n ? 0 : Number((span + stride - 1n) / stride);
  }

  override get length(): number {
    return this.#length;
  }

  /** The number at a place. */
  at(index: number): bigint {
    return this.start + BigInt(index) * this.step;
  }

  override attribute(name: string): Value | undefined {
    return { start: this.start, stop: this.#stop, step: this.step }[name];
  }

  override *iterate(): Generator<Value> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  override repr(): string {
    return `range(${this.start}, ${this.#stop}${this.step === 1n ? "" : `, ${this.step}`})`;
  }
}

/** What is read once, item by item, as it is asked for: what map, select and the like give. */
export class Lazy extends PyObject {
  readonly type: string;
  readonly #iterator: Iterator<Value>;

  constructor(iterator: Iterator<Value>, type = "generator") {
    super();
    this.#iterator = iterator;
    this.type = type;
  }

  override iterate(): Iterator<Value> {
    return this.#iterator;
  }
}

/** A function, a method of a value, or a class that makes values. */
export class Callable extends PyObject {
  readonly type: string;
  readonly name: string;
  override readonly call: (args: readonly Value[], keywords: Keywords) => Value;

  constructor(name: string, call: (args: readonly Value[], keywords: Keywords) => Value, type = "builtin_function_or_method") {
    super();
    this.name = name;
    this.type = type;
    this.call = call;
  }
}
