import { raise } from "../fault.js";
import { equal } from "../values/compare.js";
import { Callable, Tuple } from "../values/containers.js";
import { listOf } from "../values/iterate.js";
import { Undefined } from "../values/undefined.js";
import { type Keywords, PyObject, type Value } from "../values/value.js";

/** The `loop` of a loop's body. Items are read as they are needed: asking for `last` or `nextitem` reads one ahead, `length` all. */
export class Loop extends PyObject {
  readonly type = "LoopContext";
  readonly #depth: number;
  readonly #recurse: ((items: Value, depth: number) => Value) | null;
  #iterator: Iterator<Value>;
  #length: number | undefined;
  #index = -1;
  #after: IteratorResult<Value> | undefined;
  #current: Value | undefined;
  #before: Value | undefined;
  #changed: Value | undefined;

  /** @param length of what is iterated, if it has one */
  constructor(
    iterator: Iterator<Value>,
    length: number | undefined,
    depth: number,
    recurse: ((items: Value, depth: number) => Value) | null,
  ) {
    super();
    this.#iterator = iterator;
    this.#length = length;
    this.#depth = depth;
    this.#recurse = recurse;
  }

  /** The next item. */
  next(): IteratorResult<Value> {
    const next = this.#after ?? this.#iterator.next();
    this.#after = undefined;
    if (next.done) return next;
    this.#index++;
    this.#before = this.#current;
    this.#current = next.value;
    return next;
  }

  #peek(): IteratorResult<Value> {
    this.#after ??= this.#iterator.next();
    return this.#after;
  }

  override get length(): number {
    if (this.#length === undefined) {
      const rest: Value[] = [];
      for (let next = this.#iterator.next(); !next.done; next = this.#iterator.next()) rest.push(next.value);
      this.#iterator = rest[Symbol.iterator]();
      this.#length = rest.length + this.#index + 1 + (this.#after !== undefined && !this.#after.done ? 1 : 0);
    }
    return this.#length;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return BigInt(this.#index + 1);
      case "index0":
        return BigInt(this.#index);
      case "first":
        return this.#index === 0;
      case "last":
        return this.#peek().done === true;
      case "length":
        return BigInt(this.length);
      case "revindex":
        return BigInt(this.length - this.#index);
      case "revindex0":
        return BigInt(this.length - this.#index - 1);
      case "depth":
        return BigInt(this.#depth + 1);
      case "depth0":
        return BigInt(this.#depth);
      default:
        return this.#neighbour(name);
    }
  }

  #neighbour(name: string): Value | undefined {
    if (name === "previtem") return this.#index === 0 ? new Undefined("there is no previous item") : this.#before;
    if (name === "nextitem") {
      const next = this.#peek();
      return next.done ? new Undefined("there is no next item") : next.value;
    }
    if (name === "cycle") return new Callable("cycle", (args, keywords) => this.#cycle(args, keywords), "method");
    return name === "changed" ? new Callable("changed", (args, keywords) => this.#hasChanged(args, keywords), "method") : undefined;
  }

  #cycle(args: readonly Value[], keywords: Keywords): Value {
    if (keywords.size > 0) raise("TypeError", "cycle() got an unexpected keyword argument");
    if (args.length === 0) raise("TypeError", "no items for cycling given");
    return args[this.#index % args.length]!;
  }

  #hasChanged(args: readonly Value[], keywords: Keywords): boolean {
    if (keywords.size > 0) raise("TypeError", "changed() got an unexpected keyword argument");
    const value = new Tuple(args);
    if (this.#changed !== undefined && equal(this.#changed, value)) return false;
    this.#changed = value;
    return true;
  }

  override readonly call = (args: readonly Value[], keywords: Keywords): Value => {
    if (args.length !== 1 || keywords.size > 0) raise("TypeError", "loop() takes one argument: what to iterate over");
    if (this.#recurse === null) return raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.");
    return this.#recurse(args[0]!, this.#depth + 1);
  };

  override iterate(): Iterator<Value> {
    const pairs: Iterator<Value> = {
      next: () => {
        const next = this.next();
        return next.done ? next : { done: false, value: new Tuple([next.value, this]) };
      },
    };
    return pairs;
  }

  override repr(): string {
    return `<LoopContext ${this.#index + 1}/${this.length}>`;
  }
}

/** As many items as there are targets; raises ValueError for another number. */
export function unpack(value: Value, count: number): readonly Value[] {
  const items = listOf(value);
  if (items.length > count) raise("ValueError", `too many values to unpack (expected ${count})`);
  return items.length === count ? items : raise("ValueError", `not enough values to unpack (expected ${count}, got ${items.length})`);
}
