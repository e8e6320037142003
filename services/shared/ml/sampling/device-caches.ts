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

/** What a cache must have room for. */
export interface Room {
  /** Rows: more than there are where graphs are to keep their shapes. */
  readonly rows: number;
  /** Positions of each. */
  readonly least: number;
  /** Positions that it gets where it must be made anew. */
  readonly wanted: number;
}

/** How caches are kept. */
export interface CacheForm {
  readonly dtype: CacheDtype;
  /** Arrays keep their places, and grow alone: what is bound to them stays valid until they do. Costs one more copy of what is joined. */
  readonly stays: boolean;
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
  readonly joinsInPlace = false;
  readonly #config: ModelConfig;
  readonly #options: SessionOptions;
  readonly #dtype: CacheDtype;
  readonly #stays: boolean;
  #joining: Joining | undefined;
  /** Arrays of one size, those of the layers' keys and values and one more of each. */
  #arrays: readonly DeviceTensor[] = [];
  #capacity = 0;
  /** What is cached of all rows that go on, each in its place. */
  #resident: RunCache;
  /** What the last run has read. */
  #read: Readonly<Record<string, KeptTensor>> = {};

  constructor(config: ModelConfig, options: SessionOptions, { dtype, stays }: CacheForm = { dtype: "float32", stays: false }) {
    this.#config = config;
    this.#options = options;
    this.#dtype = dtype;
    this.#stays = stays;
    this.#resident = { far: this.#empty(0), read: {}, longest: 0 };
  }

  /** @param room absent: as much as what is cached takes */
  async join(
    rows: readonly Reader[],
    live: readonly Reader[],
    room: Room = { rows: live.length, least: 0, wanted: 0 },
  ): Promise<Readonly<Record<string, Tensor | DeviceTensor>>> {
    const isWhole = rows.length === live.length && rows.every((row, place) => row === live[place]);
    const isCached = rows.some(({ cached }) => cached);
    if (isCached && !isWhole) throw new RetortError("Internal", "some rows go on from what is cached while others wait");
    const stay = live.every(({ cached }, place) => !cached || this.#isAt(cached, place));
    const fits = this.#rows === room.rows && this.#positions >= room.least;
    if (!stay || (isCached && !fits)) await this.#fold(live, room);
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

  /** Arrays that keep their places stay: the device's memory is the session's, used or not. */
  rest(): void {
    if (!this.#stays) this.#clear();
    this.#forget();
    this.#resident = { far: this.#empty(0), read: {}, longest: 0 };
  }

  #clear(): void {
    this.#forget();
    this.#free(this.#arrays);
    this.#arrays = [];
    this.#capacity = 0;
    this.#resident = { far: this.#empty(0), read: {}, longest: 0 };
  }

  async release(): Promise<void> {
    this.#clear();
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

  /** Positions that each of them has. */
  get #positions(): number {
    return dimOf(this.#resident.far, cacheName("k", 0), 2);
  }

  /** Joins what is cached and what the last run has read, for rows in their places, which then have it there. */
  async #fold(live: readonly Reader[], { rows, wanted }: Room): Promise<void> {
    const joining = await this.#open();
    const positions = Math.max(wanted, this.#stays ? this.#positions : 0, ...live.map(({ cached }) => cachedLength(cached)));
    const dims = [rows, this.#config.kvHeads, positions, this.#config.headDim];
    const padded = Array.from({ length: rows }, (_, place) => live[place]?.cached);
    const { kept } = await joining.index.runKeeping(this.#indexFeeds(padded, positions), [], joinIndexNames);
    try {
      const far = await this.#joinLayers(joining, kept, dims);
      this.#resident = { far, read: {}, longest: 0 };
    } catch (error) {
      this.#clear();
      throw error;
    } finally {
      for (const tensor of Object.values(kept)) tensor.release();
    }
    for (const [place, row] of live.entries())
      if (row.cached) row.cached = { run: this.#resident, place, before: cachedLength(row.cached), first: 0, drawn: 0 };
  }

  /** Each layer goes where the one before it was, or back to its own place; all go to longer arrays where these are too short. */
  async #joinLayers({ memory, join }: Joining, index: Placed, dims: readonly number[]): Promise<Record<string, DeviceTensor>> {
    const old = this.#arrays;
    const size = sizeOf(dims);
    const grows = size > this.#capacity;
    if (grows) this.#capacity = Math.max(size, Math.ceil(this.#capacity * growth));
    const returns = this.#stays && !grows;
    const next = grows ? [] : returns ? [...old] : [...old.slice(-2), ...old.slice(0, -2)];
    const makePair = () => {
      for (let i = 0; i < 2; i++) next.push(memory.allocate([this.#capacity], this.#dtype));
    };
    const joined: Record<string, DeviceTensor> = {};
    try {
      for (let layer = 0; layer < this.#config.layers; layer++) {
        if (grows) makePair();
        const into = this.#pairOf(next, 2 * layer, dims);
        const way = returns ? this.#pairOf(next, next.length - 2, dims) : into;
        await join.run({ ...index, ...this.#sources("k", layer), ...this.#sources("v", layer) }, way);
        if (returns) for (const part of ["k", "v"] as const) await memory.copy(way[part], into[part]);
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

  /** Keys and values in two arrays, one behind the other in a list of them. */
  #pairOf(arrays: readonly DeviceTensor[], at: number, dims: readonly number[]): Record<"k" | "v", DeviceTensor> {
    const { memory } = found(this.#joining, "the device's memory");
    const of = (place: number) => memory.part(found(arrays[place], "an array"), 0, dims);
    return { k: of(at), v: of(at + 1) };
  }

  #indexFeeds(rows: readonly (CachedRow | undefined)[], positions: number): Record<string, Tensor> {
    const perRow = joinRowInputs.map((name) => {
      const values = rows.map((cached) => cached?.[name] ?? 0);
      return [name, int64(values, [rows.length, 1, 1])] as const;
    });
    const sizes: Record<(typeof joinSizeInputs)[number], number> = {
      positions,
      stored: this.#positions,
      length: dimOf(this.#read, readName("k", 0), 2),
      longest: rows.find((cached) => cached && cached.run !== this.#resident)?.run.longest ?? 0,
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
