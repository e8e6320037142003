// Dimensions: B rows, G key/value heads, S cached positions, n positions that a run has read, E head size.
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { int64, sizeOf, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { DeviceMemory } from "../runtime/device-memory.js";
import { type DeviceTensor, type KeptTensor, type Placed, Session, type SessionOptions } from "../runtime/session.js";
import { type CacheDtype, zeros } from "./cache-dtype.js";
import { drawnNames } from "./decode-graph.js";
import { cacheName, readName } from "./decode-inputs.js";
import { joinGraph, joinIndexGraph, joinIndexNames, joinRowInputs, joinSizeInputs } from "./join-graph.js";
import { type CachedRow, cachedLength, type RunCache } from "./row-cache.js";
import type { Ran, Reader, RowCaches } from "./row-caches.js";

/** How much longer arrays become than those that were too short. */
const growth = 1.5;

/** Positions of a cache. */
export interface Room {
  readonly least: number;
  readonly wanted: number;
}

/** What joins caches on the device. */
interface Joining {
  readonly memory: DeviceMemory;
  readonly index: Session;
  readonly join: Session;
}

/**
 * Caches that stay on the device: of the runtime native. Before each run what the one before has read is joined there with what was
 * cached, layer by layer, so that no more than one layer's arrays are there twice; four numbers per row go up.
 */
export class DeviceCaches implements RowCaches {
  readonly #config: ModelConfig;
  readonly #options: SessionOptions;
  readonly #dtype: CacheDtype;
  #joining: Joining | undefined;
  /** Arrays of one size, those of the layers' keys and values and one more of each. */
  #arrays: readonly DeviceTensor[] = [];
  #capacity = 0;
  /** What is cached of all rows that go on, each in its place. */
  #resident: RunCache;
  /** What the last run has read. */
  #read: Readonly<Record<string, KeptTensor>> = {};

  constructor(config: ModelConfig, options: SessionOptions, dtype: CacheDtype = "float32") {
    this.#config = config;
    this.#options = options;
    this.#dtype = dtype;
    this.#resident = { far: this.#empty(0), read: {}, longest: 0 };
  }

  /** @param room positions that each row must have, and as many as it gets where all are joined anew; absent: those that are cached */
  async join(rows: readonly Reader[], live: readonly Reader[], room: Room = { least: 0, wanted: 0 }): Promise<Placed> {
    const isWhole = rows.length === live.length && rows.every((row, place) => row === live[place]);
    const isCached = rows.some(({ cached }) => cached);
    if (isCached && !isWhole) throw new RetortError("Internal", "some rows go on from what is cached while others wait");
    const stay = live.every(({ cached }, place) => !cached || this.#isAt(cached, place));
    const fits = this.#rows === live.length && dimOf(this.#resident.far, cacheName("k", 0), 2) >= room.least;
    if (!stay || (isCached && !fits)) await this.#fold(live, room.wanted);
    this.#forget();
    return isCached ? this.#resident.far : this.#empty(rows.length);
  }

  async run(session: Session, feeds: Placed, wanted: readonly string[] = drawnNames): Promise<Ran> {
    const { outputs, kept } = await session.runKeeping(
      feeds,
      wanted,
      this.#names.map(([, read]) => read),
    );
    this.#read = kept;
    return { outputs, read: kept };
  }

  rest(): void {
    this.#forget();
    this.#free(this.#arrays);
    this.#arrays = [];
    this.#capacity = 0;
    this.#resident = { far: this.#empty(0), read: {}, longest: 0 };
  }

  async release(): Promise<void> {
    this.rest();
    const joining = this.#joining;
    this.#joining = undefined;
    await joining?.join.release();
    await joining?.index.release();
    await joining?.memory.release();
  }

  /** Names of caches in feeds, and of what a run has read of them: keys and values of a layer after another's. */
  get #names(): (readonly [far: string, read: string])[] {
    const layers = Array.from({ length: this.#config.layers }, (_, layer) => layer);
    return layers.flatMap((layer) => (["k", "v"] as const).map((part) => [cacheName(part, layer), readName(part, layer)] as const));
  }

  /** Nothing cached. */
  #empty(rows: number): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#config;
    const nothing = zeros(this.#dtype, [rows, kvHeads, 0, headDim]);
    return Object.fromEntries(this.#names.map(([name]) => [name, nothing]));
  }

  /** Whether all of a row lies in a place of the cache already. */
  #isAt({ run, place, first, drawn }: CachedRow, at: number): boolean {
    return run === this.#resident && place === at && first + drawn === 0;
  }

  /** Rows that there is room for in the cache. */
  get #rows(): number {
    return dimOf(this.#resident.far, cacheName("k", 0), 0);
  }

  /** Joins what is cached and what the last run has read, for rows in their places, which then have it there. */
  async #fold(live: readonly Reader[], wanted: number): Promise<void> {
    const joining = await this.#open();
    const positions = Math.max(wanted, ...live.map(({ cached }) => cachedLength(cached)));
    const dims = [live.length, this.#config.kvHeads, positions, this.#config.headDim];
    const { kept } = await joining.index.runKeeping(this.#indexFeeds(live, positions), [], joinIndexNames);
    try {
      const far = await this.#joinLayers(joining, kept, dims);
      this.#resident = { far, read: {}, longest: 0 };
    } catch (error) {
      this.rest();
      throw error;
    } finally {
      for (const tensor of Object.values(kept)) tensor.release();
    }
    for (const [place, row] of live.entries())
      if (row.cached) row.cached = { run: this.#resident, place, before: cachedLength(row.cached), first: 0, drawn: 0 };
  }

  /** Each layer goes where the one before it was; all go to longer arrays where these are too short. */
  async #joinLayers({ memory, join }: Joining, index: Placed, dims: readonly number[]): Promise<Record<string, DeviceTensor>> {
    const old = this.#arrays;
    const size = sizeOf(dims);
    const grows = size > this.#capacity;
    if (grows) this.#capacity = Math.max(size, Math.ceil(this.#capacity * growth));
    const next = grows ? [] : [...old.slice(-2), ...old.slice(0, -2)];
    const makePair = () => {
      for (let i = 0; i < 2; i++) next.push(memory.allocate([this.#capacity], this.#dtype));
    };
    const joined: Record<string, DeviceTensor> = {};
    try {
      for (let layer = 0; layer < this.#config.layers; layer++) {
        if (grows) makePair();
        const into = { k: this.#viewOf(next[2 * layer], dims), v: this.#viewOf(next[2 * layer + 1], dims) };
        await join.run({ ...index, ...this.#sources("k", layer), ...this.#sources("v", layer) }, into);
        for (const part of ["k", "v"] as const) joined[cacheName(part, layer)] = into[part];
        if (grows) this.#free(old.slice(2 * layer, 2 * layer + 2));
      }
      if (grows) this.#free(old.slice(-2));
      if (grows) makePair();
    } finally {
      // Those that are free already are passed over.
      this.#arrays = [...new Set([...next, ...(next.length < old.length ? old : [])])];
    }
    return joined;
  }

  /** What a layer's keys or values are joined of. */
  #sources(part: "k" | "v", layer: number): Placed {
    const { kvHeads, headDim } = this.#config;
    const one = zeros(this.#dtype, [1, kvHeads, 1, headDim]);
    // There is always a vector to gather, though no position may be it.
    const filled = (tensor: Tensor | DeviceTensor | undefined) => (tensor && sizeOf(tensor.dims) > 0 ? tensor : one);
    return {
      [`far.${part}`]: filled(this.#resident.far[cacheName(part, layer)]),
      [`read.${part}`]: filled(this.#read[readName(part, layer)]),
    };
  }

  #viewOf(array: DeviceTensor | undefined, dims: readonly number[]): DeviceTensor {
    return found(this.#joining, "the device's memory").memory.part(found(array, "an array"), 0, dims);
  }

  #indexFeeds(live: readonly Reader[], positions: number): Record<string, Tensor> {
    const perRow = joinRowInputs.map((name) => {
      const values = live.map(({ cached }) => cached?.[name] ?? 0);
      return [name, int64(values, [live.length, 1, 1])] as const;
    });
    const [far, read] = [cacheName("k", 0), readName("k", 0)];
    const sizes: Record<(typeof joinSizeInputs)[number], number> = {
      positions,
      stored: dimOf(this.#resident.far, far, 2),
      length: dimOf(this.#read, read, 2),
      longest: found(live.find(({ cached }) => cached && cached.run !== this.#resident)?.cached?.run.longest ?? 0, "longest"),
    };
    return Object.fromEntries([...perRow, ...joinSizeInputs.map((name) => [name, int64([sizes[name]], [])] as const)]);
  }

  async #open(): Promise<Joining> {
    if (this.#joining) return this.#joining;
    const memory = await DeviceMemory.open(this.#options);
    const index = await Session.create(joinIndexGraph(this.#config), this.#options);
    const join = await Session.create(joinGraph(this.#config, this.#dtype), this.#options);
    this.#joining = { memory, index, join };
    return this.#joining;
  }

  #free(arrays: readonly DeviceTensor[]): void {
    for (const array of arrays) this.#joining?.memory.free(array);
  }

  /** Lets go of what the last run has read. */
  #forget(): void {
    for (const tensor of Object.values(this.#read)) tensor.release();
    this.#read = {};
  }
}

const dimOf = (tensors: Placed, name: string, axis: number): number => tensors[name]?.dims[axis] ?? 0;
