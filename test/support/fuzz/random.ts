import { deriveSeed, generator } from "../../../services/shared/base/random.js";

/** A stream of random choices that one seed names. */
export class Random {
  readonly #next: () => number;

  constructor(seed: bigint, ...path: readonly number[]) {
    this.#next = generator(deriveSeed(seed, ...path));
  }

  /** A whole number in [0, below). */
  int(below: number): number {
    return Math.floor((this.#next() / 2 ** 32) * below);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!;
  }

  /** Random bytes. */
  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(256)));
  }

  /** 64 random bits. */
  bits(): bigint {
    return (BigInt(this.#next()) << 32n) | BigInt(this.#next());
  }
}
