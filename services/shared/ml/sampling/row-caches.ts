import { found } from "../../base/found.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import type { Outputs } from "../runtime/outputs.js";
import type { Placed, Session } from "../runtime/session.js";
import { CacheArray, type CacheSize } from "./cache-array.js";
import { type CachedRow, CacheJoiner, cachedLength, cacheNames, soleRow } from "./row-cache.js";

/** A row, as caches see it. */
export interface Reader {
  cached: CachedRow | undefined;
  /** How many tokens its text may come to. */
  readonly mostPositions: number;
}

/** What a run drew, and what it read where that was to be kept. */
export interface Ran {
  readonly outputs: Outputs;
  readonly read: Placed;
}

/** Where the keys and values that rows have read are kept between runs. */
export interface RowCaches {
  /** Whether what a run has read is added to what is cached where that lies: short runs cost nothing, and take less memory. */
  readonly joinsInPlace: boolean;
  /**
   * What a run of some rows is fed of what they have read: k.i and v.i [B, G, S, E] in their order.
   *
   * @param live all rows that go on, each in its place: what no other has is let go
   */
  join(rows: readonly Reader[], live: readonly Reader[]): Promise<Placed>;
  /** Runs the graph of decoding, and keeps what it reads. */
  run(session: Session, feeds: Placed): Promise<Ran>;
  /** A copy of what a row has read, that outlives {@link RowCaches.rest}; absent where rows can't be kept. */
  copyOf?(row: CachedRow): CachedRow;
  /** Lets go of all that is kept. */
  rest(): void;
  release(): Promise<void>;
}

/** Caches in this process's memory. */
export class HostCaches implements RowCaches {
  readonly joinsInPlace = true;
  readonly #config: ModelConfig;
  readonly #joiner: CacheJoiner;
  /** By name what was read since all rows were joined, in arrays that are let go then: garbage would stay until it is collected. */
  readonly #read = new Map<string, CacheArray[]>();

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#joiner = new CacheJoiner(config);
  }

  async join(rows: readonly Reader[], live: readonly Reader[]): Promise<Placed> {
    // Arrays that are kept are those of rows that run: while some only read, the others' stay as they are.
    const isAll = rows.length === live.length;
    const joiner = isAll ? this.#joiner : new CacheJoiner(this.#config);
    const most = Math.max(...rows.map(({ mostPositions }) => mostPositions));
    const cached = rows.map(({ cached }) => cached);
    const far = joiner.join(cached, most, (name) => isAll && this.#forget(name));
    const run = { far, read: {}, longest: 0 };
    for (const [place, row] of rows.entries())
      if (row.cached) row.cached = { run, place, before: cachedLength(row.cached), first: 0, drawn: 0 };
    return far;
  }

  async run(session: Session, feeds: Placed): Promise<Ran> {
    const [steps, rows] = dimsOf(feeds, "blockUniforms");
    // Of a run of several steps nobody knows how many it takes.
    const outputs = await session.run(feeds, steps === 1 ? this.#toRead({ rows: rows!, positions: dimsOf(feeds, "tokenOf")[1]! }) : {});
    return { outputs, read: outputs };
  }

  /** Arrays for what a run of one step reads. */
  #toRead(size: CacheSize): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#config;
    const tensors = cacheNames(this.#config).map(({ read }) => {
      const array = new CacheArray(this.#config, size);
      array.spread(size);
      this.#read.set(read, [...(this.#read.get(read) ?? []), array]);
      return [read, float32(array.data, [size.rows, kvHeads, size.positions, headDim])] as const;
    });
    return Object.fromEntries(tensors);
  }

  #forget(name: string): void {
    for (const array of this.#read.get(name) ?? []) array.cut(0);
    this.#read.delete(name);
  }

  copyOf(row: CachedRow): CachedRow {
    return soleRow(this.#config, row);
  }

  rest(): void {
    this.#joiner.release();
    for (const name of [...this.#read.keys()]) this.#forget(name);
  }

  async release(): Promise<void> {
    this.rest();
  }
}

const dimsOf = (feeds: Placed, name: string): readonly number[] => found(feeds[name], name).dims;
