// Dimensions: B rows, G key/value heads, S cached positions, n positions that a run has read, E head size.
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { isOnDevice, type Placed } from "../runtime/engines/engine.js";
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
  const far = cacheNames(config).map(([farName, name]) => {
    const out = new Float32Array(kvHeads * length * headDim);
    copyRow(row, [farName, name], kvHeads, out, false);
    return [farName, float32(out, [1, kvHeads, length, headDim])] as const;
  });
  const read = cacheNames(config).map(([, name]) => [name, float32(new Float32Array(), [1, kvHeads, 0, headDim])] as const);
  const run = { far: Object.fromEntries(far), read: Object.fromEntries(read), longest: 0 };
  return { run, place: 0, before: length, first: 0, drawn: 0 };
}

/** Bytes that the arrays of a row's run take. */
export const cachedBytes = ({ run }: CachedRow): number =>
  [...Object.keys(run.far)].reduce((sum, name) => sum + hosted(run.far, name).data.byteLength, 0);

/**
 * Keys and values of rows that may come from different runs, side by side. They lie in arrays that are kept: of a row that is
 * where it was in the run before, only what that run has read is added. So a row that goes on must be in every run that has
 * something cached, at its place or at one that was empty or has been left.
 */
export class CacheJoiner {
  readonly #config: ModelConfig;
  #arrays: ReadonlyMap<string, Float32Array> = new Map();
  /** Rows that the arrays have room for, and positions of each. */
  #rows = 0;
  #positions = 0;

  constructor(config: ModelConfig) {
    this.#config = config;
  }

  /** k.i and v.i [B, G, S, E]: each row's positions one behind another, zeros behind them. */
  join(rows: readonly (CachedRow | undefined)[]): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#config;
    const stored = Math.max(...rows.map(cachedLength));
    if (stored > 0) this.#makeRoom(rows.length, stored);
    const positions = stored > 0 ? this.#positions : 0;
    const size = kvHeads * positions * headDim;
    const joined = cacheNames(this.#config).map(([farName, name]) => {
      const out = (stored > 0 ? found(this.#arrays.get(farName), farName) : new Float32Array()).subarray(0, rows.length * size);
      for (const [b, row] of rows.entries()) {
        const place = out.subarray(b * size, (b + 1) * size);
        const isThere = row?.place === b && hosted(row.run.far, farName).data.buffer === out.buffer;
        if (row) copyRow(row, [farName, name], kvHeads, place, isThere);
        else place.fill(0);
      }
      return [farName, float32(out, [rows.length, kvHeads, positions, headDim])] as const;
    });
    return Object.fromEntries(joined);
  }

  /** Lets go of the arrays. */
  release(): void {
    this.#arrays = new Map();
    this.#rows = 0;
    this.#positions = 0;
  }

  /** Makes other arrays where these are too short, or much longer than they need be: what is cached is read with every token. */
  #makeRoom(rows: number, stored: number): void {
    if (rows <= this.#rows && stored <= this.#positions && stored > this.#positions - 2 * spare) return;
    const { kvHeads, headDim } = this.#config;
    this.#positions = this.#rows > 0 ? stored + spare : stored;
    this.#rows = rows;
    const size = rows * kvHeads * this.#positions * headDim;
    this.#arrays = new Map(cacheNames(this.#config).map(([farName]) => [farName, new Float32Array(size)] as const));
  }
}

/** One of a run's tensors, in this process's memory. */
function hosted(tensors: Placed, name: string): Tensor {
  const tensor = found(tensors[name], name);
  if (isOnDevice(tensor)) throw new RetortError("Internal", `${name} is on the device`);
  return tensor;
}

/** Positions that arrays have to spare when they take the place of others. */
const spare = 16;

/** Names of caches in feeds, and of what a run has read of them. */
const cacheNames = ({ layers }: ModelConfig) =>
  Array.from({ length: layers }, (_, layer) =>
    (["k", "v"] as const).map((part) => [cacheName(part, layer), readName(part, layer)] as const),
  ).flat();

/**
 * Copies a row to its place [G, S, E].
 *
 * @param isThere what it had before its last run is there already, and zeros behind it
 */
function copyRow(
  row: CachedRow,
  [farName, readName]: readonly [string, string],
  groups: number,
  out: Float32Array,
  isThere: boolean,
): void {
  const { run, place, before, first, drawn } = row;
  const [far, read] = [hosted(run.far, farName), hosted(run.read, readName)];
  const [, , farLength, size] = far.dims as [number, number, number, number];
  const readLength = read.dims[2]!;
  const stored = out.length / (groups * size);
  const copy = (from: Tensor, start: number, count: number, to: number) => {
    if (count > 0) out.set((from.data as Float32Array).subarray(start * size, (start + count) * size), to * size);
  };
  for (let g = 0; g < groups; g++) {
    const head = place * groups + g;
    const to = g * stored;
    if (!isThere) copy(far, head * farLength, before, to);
    copy(read, head * readLength, first, to + before);
    copy(read, head * readLength + run.longest, drawn, to + before + first);
    if (!isThere) out.fill(0, (to + cachedLength(row)) * size, (to + stored) * size);
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
