// Dimensions: B rows, G key/value heads, S cached positions, n positions that a run has read, E head size.
import { RetortError } from "../../base/errors.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { isOnDevice, type Placed } from "../runtime/engines/engine.js";
import { CacheArray } from "./cache-array.js";
import { cacheName, readName } from "./decode-inputs.js";

/** The keys and values that a run had and those that it read, for all of its rows: [B, G, S, E] and [B, G, n, E] by name. */
export interface RunCache {
  readonly far: Placed;
  readonly read: Placed;
  /** Most tokens that a row read at first; behind them lie those that were drawn. */
  readonly longest: number;
}

/** Where the keys and values of a row lie. */
export interface CachedRow {
  readonly run: RunCache;
  /** The row's place in the run. */
  readonly place: number;
  /** How many of its positions the run had, how many tokens it read at first, and how many of its own draws it read. */
  readonly before: number;
  readonly first: number;
  readonly drawn: number;
}

/** How many positions of a row are cached. */
export const cachedLength = (row: CachedRow | undefined): number => (row ? row.before + row.first + row.drawn : 0);

/** The first positions of a row, `length` of those that are cached. */
export function firstOf({ run, place, before, first, drawn }: CachedRow, length: number): CachedRow {
  const of = (count: number, start: number) => Math.max(0, Math.min(count, length - start));
  return { run, place, before: of(before, 0), first: of(first, before), drawn: of(drawn, before + first) };
}

/** A copy of a row in arrays of its own: a run of that row alone, which had all of it. */
export function soleRow(config: ModelConfig, row: CachedRow): CachedRow {
  const { kvHeads, headDim } = config;
  const length = cachedLength(row);
  const far = cacheNames(config).map((names) => {
    const out = new Float32Array(kvHeads * length * headDim);
    copyRow(row, names, config, out);
    return [names.far, float32(out, [1, kvHeads, length, headDim])] as const;
  });
  return { run: { far: Object.fromEntries(far), read: {}, longest: 0 }, place: 0, before: length, first: 0, drawn: 0 };
}

/** Bytes that the arrays of a row's run take. */
export const cachedBytes = ({ run }: CachedRow): number =>
  Object.keys(run.far).reduce((sum, name) => sum + vectorsIn(run.far, name).data.byteLength, 0);

/**
 * Keys and values of rows that may come from different runs, side by side. They lie in arrays that are kept: of a row that is
 * where it was in the run before, only what that run has read is added. So a row that goes on must be in every run that has
 * something cached, at its place or at one that was empty or has been left; and goes on from what it is given here.
 */
export class CacheJoiner {
  readonly #config: ModelConfig;
  readonly #arrays = new Map<string, CacheArray>();

  constructor(config: ModelConfig) {
    this.#config = config;
  }

  /**
   * k.i and v.i [B, G, S, E]: each row's positions one behind another, zeros behind them.
   *
   * @param most positions that a row may come to: arrays are made with room for them
   * @param onJoined called when what runs have read under a name has been copied
   */
  join(rows: readonly (CachedRow | undefined)[], most = 0, onJoined: (readName: string) => void = () => {}): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#config;
    const stored = Math.max(...rows.map(cachedLength));
    const joined = cacheNames(this.#config).map((names) => {
      const { data, positions } = stored > 0 ? this.#joinOne(rows, names, stored, most) : nothing;
      onJoined(names.read);
      return [names.far, float32(data, [rows.length, kvHeads, positions, headDim])] as const;
    });
    return Object.fromEntries(joined);
  }

  /** Lets go of the arrays: the tensors that show them are empty then. */
  release(): void {
    for (const array of this.#arrays.values()) array.cut(0);
    this.#arrays.clear();
  }

  #joinOne(rows: readonly (CachedRow | undefined)[], names: CacheNames, stored: number, most: number): CacheArray {
    const { kvHeads } = this.#config;
    const held = this.#arrays.get(names.far);
    const size = { rows: rows.length, positions: positionsFor(held?.positions, stored) };
    const array = held?.fits(size) ? held : new CacheArray(this.#config, { ...size, positions: Math.max(size.positions, most) });
    array.spread(size);
    const { data } = array;
    const width = kvHeads * size.positions * this.#config.headDim;
    for (const [b, row] of rows.entries()) {
      const place = data.subarray(b * width, (b + 1) * width);
      if (row) copyRow(row, names, this.#config, place, held, held === array && row.place === b);
      else place.fill(0);
    }
    array.cut(rows.length);
    if (held !== array) held?.cut(0);
    this.#arrays.set(names.far, array);
    return array;
  }
}

/** Positions that arrays with so many get, for rows of which the longest has `stored`: what is cached is read with every token. */
const positionsFor = (now: number | undefined, stored: number): number => {
  if (now === undefined) return stored;
  return stored <= now && stored > now - 2 * spare ? now : stored + spare;
};

/** Vectors of positions, [B, G, S, E]. */
interface Vectors {
  readonly data: Float32Array;
  readonly positions: number;
}

const nothing: Vectors = { data: new Float32Array(), positions: 0 };

/** One of a run's tensors, in this process's memory; one that there isn't has nothing. */
function vectorsIn(tensors: Placed, name: string): Vectors {
  const tensor = tensors[name];
  if (!tensor) return nothing;
  if (isOnDevice(tensor)) throw new RetortError("Internal", `${name} is on the device`);
  return { data: tensor.data as Float32Array, positions: tensor.dims[2]! };
}

/** Positions that arrays have to spare when they take the place of others. */
const spare = 16;

/** What a cache is called in feeds, and what a run has read of it. */
interface CacheNames {
  readonly far: string;
  readonly read: string;
}

/** Names of every layer's keys and values. */
export const cacheNames = ({ layers }: ModelConfig): CacheNames[] =>
  Array.from({ length: layers }, (_, layer) =>
    (["k", "v"] as const).map((part) => ({ far: cacheName(part, layer), read: readName(part, layer) })),
  ).flat();

/**
 * Copies a row to its place [G, S, E].
 *
 * @param held the array that what the row had may lie in
 * @param stays it lies at this very place there
 */
function copyRow(
  row: CachedRow,
  names: CacheNames,
  { kvHeads, headDim }: ModelConfig,
  out: Float32Array,
  held?: CacheArray,
  stays = false,
): void {
  const { run, place, before, first, drawn } = row;
  const [given, read] = [vectorsIn(run.far, names.far), vectorsIn(run.read, names.read)];
  // Its positions may have been spread since.
  const isHeld = held?.holds(given.data) === true;
  const far = isHeld ? { data: held.data, positions: held.positions } : given;
  const isThere = isHeld && stays;
  const stored = out.length / (kvHeads * headDim);
  const copy = ({ data }: Vectors, start: number, count: number, to: number) => {
    if (count > 0) out.set(data.subarray(start * headDim, (start + count) * headDim), to * headDim);
  };
  for (let g = 0; g < kvHeads; g++) {
    const head = place * kvHeads + g;
    const to = g * stored;
    if (!isThere) copy(far, head * far.positions, before, to);
    copy(read, head * read.positions, first, to + before);
    copy(read, head * read.positions + run.longest, drawn, to + before + first);
    if (!isThere) out.fill(0, (to + cachedLength(row)) * headDim, (to + stored) * headDim);
  }
}

/**
 * Rows in places: those that had one before keep it, others take those that have been left, and where there are more of these
 * the last rows move up.
 */
export function placed<T>(before: readonly T[], now: readonly T[]): T[] {
  const stays = new Set(now);
  const places: (T | undefined)[] = before.map((row) => (stays.has(row) ? row : undefined));
  const had = new Set(before);
  const fresh = now.filter((row) => !had.has(row));
  for (const row of fresh) {
    const free = places.indexOf(undefined);
    places[free < 0 ? places.length : free] = row;
  }
  for (let free = places.indexOf(undefined); free >= 0; free = places.indexOf(undefined)) {
    const last = places.pop();
    if (free < places.length) places[free] = last;
  }
  return places as T[];
}
