import type { ModelConfig } from "../models/config/model-config.js";
import type { Outputs } from "../runtime/outputs.js";
import type { Placed, Session } from "../runtime/session.js";
import { type CachedRow, CacheJoiner, cachedLength, soleRow } from "./row-cache.js";

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

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#joiner = new CacheJoiner(config);
  }

  async join(rows: readonly Reader[], live: readonly Reader[]): Promise<Placed> {
    // Arrays that are kept are those of rows that run: while some only read, the others' stay as they are.
    const joiner = rows.length === live.length ? this.#joiner : new CacheJoiner(this.#config);
    const most = Math.max(...rows.map(({ mostPositions }) => mostPositions));
    const run = {
      far: joiner.join(
        rows.map(({ cached }) => cached),
        most,
      ),
      read: {},
      longest: 0,
    };
    // What they have read in other runs is let go.
    for (const [place, row] of rows.entries())
      if (row.cached) row.cached = { run, place, before: cachedLength(row.cached), first: 0, drawn: 0 };
    return run.far;
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
