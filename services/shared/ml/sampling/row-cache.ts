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

/** Keys and values of rows that may come from different runs, each row's one behind another: k.i and v.i [B, G, S, E], as long as the longest row. */
export function joinCaches({ layers, kvHeads, headDim }: ModelConfig, rows: readonly (CachedRow | undefined)[]): Record<string, Tensor> {
  const stored = Math.max(...rows.map(cachedLength));
  const names = Array.from({ length: layers }, (_, layer) => (["k", "v"] as const).map((part) => [part, layer] as const)).flat();
  const joined = names.map(([part, layer]) => {
    const [farName, name] = [cacheName(part, layer), readName(part, layer)];
    const out = new Float32Array(rows.length * kvHeads * stored * headDim);
    for (const [b, row] of rows.entries()) if (row) copyRow(row, farName, name, kvHeads, out, b * kvHeads * stored * headDim, stored);
    return [farName, float32(out, [rows.length, kvHeads, stored, headDim])] as const;
  });
  return Object.fromEntries(joined);
}

function copyRow(row: CachedRow, farName: string, readName: string, groups: number, out: Float32Array, at: number, stored: number): void {
  const { run, place, before, first, drawn } = row;
  const [far, read] = [found(run.far[farName], farName), found(run.read[readName], readName)];
  const [, , farLength, size] = far.dims as [number, number, number, number];
  const readLength = read.dims[2]!;
  const copy = (from: Tensor, start: number, count: number, to: number) =>
    out.set((from.data as Float32Array).subarray(start * size, (start + count) * size), to * size);
  for (let g = 0; g < groups; g++) {
    const head = place * groups + g;
    const to = at / size + g * stored;
    copy(far, head * farLength, before, to);
    copy(read, head * readLength, first, to + before);
    copy(read, head * readLength + run.longest, drawn, to + before + first);
  }
}
