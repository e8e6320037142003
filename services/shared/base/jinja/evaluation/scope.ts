import { raise } from "../fault.js";
import { Undefined } from "../values/undefined.js";
import { given, type Value } from "../values/value.js";

const maxOutput = 64 * 2 ** 20;

/** One rendering: where the text goes, what names mean, and how much it has done. */
export class Run {
  readonly now: Date;
  readonly #lookup: (name: string) => Value | undefined;
  #out: string[] = [];
  #written = 0;

  /** @param lookup values and globals by name */
  constructor(lookup: (name: string) => Value | undefined, now: Date) {
    this.#lookup = lookup;
    this.now = now;
  }

  /** A name that no scope gives a value. */
  resolve(name: string): Value {
    return given(this.#lookup(name), () => new Undefined(`'${name}' is undefined`));
  }

  /** Adds to the text; raises when it is beyond 64 Mi characters. */
  write(text: string): void {
    this.#written += text.length;
    if (this.#written > maxOutput) raise("MemoryError", `the text is longer than the limit of ${maxOutput} characters`);
    this.#out.push(text);
  }

  /** What `body` writes, which then is no part of the text. */
  capture(body: () => void): string {
    const outside = this.#out;
    this.#out = [];
    try {
      body();
      return this.#out.join("");
    } finally {
      this.#out = outside;
    }
  }

  /** All that was written. */
  get text(): string {
    return this.#out.join("");
  }
}

/** Names with values, within an outer scope. */
export class Scope {
  readonly run: Run;
  readonly #outer: Scope | null;
  readonly #names = new Map<string, Value>();

  constructor(run: Run, outer: Scope | null) {
    this.run = run;
    this.#outer = outer;
  }

  /** The outermost scope: the template's own names. */
  get root(): Scope {
    return this.#outer?.root ?? this;
  }

  get(name: string): Value {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#outer) {
      const value = scope.#names.get(name);
      if (value !== undefined) return value;
    }
    return this.run.resolve(name);
  }

  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }

  /** A scope within this one. */
  inner(): Scope {
    return new Scope(this.run, this);
  }
}
