// Dimensions: B rows, G key/value heads, S cached positions, E head size.
import type { ModelConfig } from "../models/config/model-config.js";

/** How many rows and positions there are. */
export interface CacheSize {
  readonly rows: number;
  readonly positions: number;
}

/** Keys or values of rows, [B, G, S, E], in memory that grows and shrinks where it is: what is cached is never held twice. */
export class CacheArray {
  readonly #groups: number;
  readonly #headDim: number;
  readonly #buffer: ArrayBuffer;
  #size: CacheSize = { rows: 0, positions: 0 };

  /** @param most what it has room for: it takes addresses, and memory as far as it is used */
  constructor({ kvHeads, headDim }: ModelConfig, most: CacheSize) {
    this.#groups = kvHeads;
    this.#headDim = headDim;
    this.#buffer = new ArrayBuffer(0, { maxByteLength: this.#bytes(most) });
  }

  /** How many positions each row has. */
  get positions(): number {
    return this.#size.positions;
  }

  /** All elements, until it has another size. */
  get data(): Float32Array {
    return new Float32Array(this.#buffer);
  }

  /** Whether it has room for so much beside the rows that it has. */
  fits({ rows, positions }: CacheSize): boolean {
    return this.#bytes({ rows: Math.max(rows, this.#size.rows), positions }) <= this.#buffer.maxByteLength;
  }

  /** Whether elements lie in it. */
  holds(data: ArrayBufferView): boolean {
    return data.buffer === this.#buffer;
  }

  /**
   * Gives each row so many positions, and makes room for so many rows at least. Zeros come behind what a row has, or its last positions
   * go; what rows hold that come is undefined.
   */
  spread({ rows, positions }: CacheSize): void {
    const [before, now] = [this.#size, { rows: Math.max(rows, this.#size.rows), positions }];
    const [from, to] = [before.positions * this.#headDim, positions * this.#headDim];
    const vectors = before.rows * this.#groups;
    if (to >= from) this.#buffer.resize(this.#bytes(now));
    const { data } = this;
    if (to > from)
      for (let i = vectors - 1; i >= 0; i--) {
        data.copyWithin(i * to, i * from, (i + 1) * from);
        data.fill(0, i * to + from, (i + 1) * to);
      }
    else if (to < from) {
      for (let i = 0; i < vectors; i++) data.copyWithin(i * to, i * from, i * from + to);
      this.#buffer.resize(this.#bytes(now));
    }
    this.#size = now;
  }

  /** Lets go of all rows behind the first. */
  cut(rows: number): void {
    this.#size = { rows, positions: this.positions };
    this.#buffer.resize(this.#bytes(this.#size));
  }

  #bytes({ rows, positions }: CacheSize): number {
    return rows * this.#groups * positions * this.#headDim * Float32Array.BYTES_PER_ELEMENT;
  }
}
