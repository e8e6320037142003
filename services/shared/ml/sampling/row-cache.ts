// Dimensions: B rows, G key/value heads, S cached positions, n positions that a run has read, E head size.
import { found } from "../../base/found.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { cacheName, readName } from "./decode-inputs.js";

/** The keys and values that a run had and those that it read, for all of its rows: [B, G, S, E] and [B, G, n, E] by name. */
export interface RunCache {
  readonly far: Readonly<Record<string, Tensor>>;
  readonly read: Readonly<Record<string, Tensor>>;
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

/**
 * Puts keys and values of rows side by side that may come from different runs. The arrays are kept: what a run has read out of one
 * set of them becomes the next run's other set. So a row that goes on must be in every run that has something cached.
 */
export class CacheJoiner {
  #arrays = new Map<string, Float32Array>();
  #spare = new Map<string, Float32Array>();

  /** k.i and v.i [B, G, S, E], each row's positions one behind another and zeros behind them, as long as the longest row. */
  join({ layers, kvHeads, headDim }: ModelConfig, rows: readonly (CachedRow | undefined)[]): Record<string, Tensor> {
    const stored = Math.max(...rows.map(cachedLength));
    if (stored > 0) [this.#arrays, this.#spare] = [this.#spare, this.#arrays];
    const names = Array.from({ length: layers }, (_, layer) => (["k", "v"] as const).map((part) => [part, layer] as const)).flat();
    const joined = names.map(([part, layer]) => {
      const [farName, name] = [cacheName(part, layer), readName(part, layer)];
      const out = this.#array(farName, rows.length * kvHeads * stored * headDim);
      for (const [b, row] of rows.entries()) {
        const place = out.subarray(b * kvHeads * stored * headDim, (b + 1) * kvHeads * stored * headDim);
        if (row) copyRow(row, farName, name, kvHeads, place);
        else place.fill(0);
      }
      return [farName, float32(out, [rows.length, kvHeads, stored, headDim])] as const;
    });
    return Object.fromEntries(joined);
  }

  /** Lets go of the arrays. */
  release(): void {
    this.#arrays.clear();
    this.#spare.clear();
  }

  /** The kept array of this name if it is long enough, else a longer one, so that not every run makes its own. */
  #array(name: string, size: number): Float32Array {
    const known = this.#arrays.get(name);
    if (known && known.length >= size) return known.subarray(0, size);
    const made = new Float32Array(Math.ceil(known ? size * growth : size));
    this.#arrays.set(name, made);
    return made.subarray(0, size);
  }
}

/** How much longer an array becomes than it must when it grows. */
const growth = 1.25;

/** Copies a row to its place [G, S, E]. */
function copyRow(row: CachedRow, farName: string, readName: string, groups: number, out: Float32Array): void {
  const { run, place, before, first, drawn } = row;
  const [far, read] = [found(run.far[farName], farName), found(run.read[readName], readName)];
  const [, , farLength, size] = far.dims as [number, number, number, number];
  const readLength = read.dims[2]!;
  const stored = out.length / (groups * size);
  const copy = (from: Tensor, start: number, count: number, to: number) => {
    if (count > 0) out.set((from.data as Float32Array).subarray(start * size, (start + count) * size), to * size);
  };
  for (let g = 0; g < groups; g++) {
    const head = place * groups + g;
    const to = g * stored;
    copy(far, head * farLength, before, to);
    copy(read, head * readLength, first, to + before);
    copy(read, head * readLength + run.longest, drawn, to + before + first);
    out.fill(0, (to + cachedLength(row)) * size, (to + stored) * size);
  }
}
