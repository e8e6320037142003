import type { ModelConfig } from "../models/config/model-config.js";
import type { Outputs } from "../runtime/outputs.js";
import type { Placed, Session } from "../runtime/session.js";
import { type CachedRow, CacheJoiner, soleRow } from "./row-cache.js";

/** A row, as caches see it. */
export interface Reader {
  cached: CachedRow | undefined;
}

/** What a run drew, and what it read where that was to be kept. */
export interface Ran {
  readonly outputs: Outputs;
  readonly read: Placed;
}

/** Where the keys and values that rows have read are kept between runs. */
export interface RowCaches {
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
  readonly #config: ModelConfig;
  readonly #joiner: CacheJoiner;

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#joiner = new CacheJoiner(config);
  }

  async join(rows: readonly Reader[], live: readonly Reader[]): Promise<Placed> {
    // Arrays that are kept are those of rows that run: while some only read, the others' stay as they are.
    const joiner = rows.length === live.length ? this.#joiner : new CacheJoiner(this.#config);
    return joiner.join(rows.map(({ cached }) => cached));
  }

  async run(session: Session, feeds: Placed): Promise<Ran> {
    const outputs = await session.run(feeds);
    return { outputs, read: outputs };
  }

  copyOf(row: CachedRow): CachedRow {
    return soleRow(this.#config, row);
  }

  rest(): void {
    this.#joiner.release();
  }

  async release(): Promise<void> {
    this.rest();
  }
}
