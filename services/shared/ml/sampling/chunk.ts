// Dimensions: B rows, S cached places, H heads, E head size.
import { float32, int64, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { type Outputs, outputOf } from "../runtime/outputs.js";
import { cacheName } from "./decode-graph.js";

/** One completion that is wanted. */
export interface SampleRequest {
  readonly promptIds: Int32Array;
  /** The n-th token of the completion is drawn with the n-th pair of numbers of the stream that this names. */
  readonly seed: bigint;
}

/** A row that is being written. */
export interface Row {
  readonly request: SampleRequest;
  readonly index: number;
  readonly next: () => number;
  readonly ids: number[];
  readonly logprobs: number[];
  readonly samplingLogprobs: number[];
  readonly topIds: number[];
}

/** What a chunk added to one completion. */
export interface Piece {
  /** Position of the request. */
  readonly index: number;
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

/** The state between two chunks. */
export interface Chunk {
  readonly rows: readonly Row[];
  readonly lengths: readonly number[];
  /** [B, S]: 0 where a token is cached, else the masked score; undefined where every place has one. */
  readonly mask: Float32Array | undefined;
  readonly cached: number;
  /** How many of the cached places are the prompts', padding included; completions begin behind them. */
  readonly longest: number;
  readonly cache: Readonly<Record<string, Tensor>>;
  /** What an encoder has read of the rows' prompts; it stays as it is. */
  readonly encoded: Readonly<Record<string, Tensor>>;
  /** Tokens written per row, those after an end included. */
  readonly written: number;
  /** [B]: 1, or 0 for a row that has drawn a stop token. */
  readonly alive: Float32Array;
  readonly pieces: readonly Piece[];
}

const cacheNames = (layers: number): string[] =>
  Array.from({ length: layers }, (_, layer) => [cacheName("k", layer), cacheName("v", layer)]).flat();

/** The keys and values that a graph gives out, as a later chunk is fed them. */
export function readCache(outputs: Outputs, layers: number): Record<string, Tensor> {
  return Object.fromEntries(cacheNames(layers).map((name) => [name, outputOf(outputs, `next.${name}`)]));
}

/** Nothing cached yet: keys and values [B, H, 0, E] of every layer. */
export function emptyCache({ layers, kvHeads, headDim }: ModelConfig, rows: number): Record<string, Tensor> {
  const empty = float32([], [rows, kvHeads, 0, headDim]);
  return Object.fromEntries(cacheNames(layers).map((name) => [name, empty]));
}

/** Position of each cached token in its row's text, [B, 1, 1, S]: padding between prompt and completion counts for nothing. */
export function cachedPositions({ lengths, longest, cached }: Chunk): Tensor {
  const positions = lengths.flatMap((length) => Array.from({ length: cached }, (_, s) => (s < longest ? s : length + s - longest)));
  return int64(positions, [lengths.length, 1, 1, cached]);
}

/** The positions that a chunk wrote are all visible. */
export function extendMask(mask: Float32Array, rows: number, cached: number, steps: number): Float32Array {
  const longer = new Float32Array(rows * (cached + steps));
  for (let b = 0; b < rows; b++) longer.set(mask.subarray(b * cached, (b + 1) * cached), b * (cached + steps));
  return longer;
}

/** Takes finished rows out when they are at least a quarter, so that the rest costs less. */
export function dropFinished(chunk: Chunk): Chunk {
  const alive = chunk.rows.flatMap((_, b) => (chunk.alive[b] ? [b] : []));
  if (alive.length > chunk.rows.length * 0.75) return chunk;
  const pick = <T>(list: readonly T[]) => alive.map((b) => list[b]!);
  const rowsOf = (data: Float32Array) => {
    const size = data.length / chunk.rows.length;
    const out = new Float32Array(size * alive.length);
    for (const [i, b] of alive.entries()) out.set(data.subarray(b * size, (b + 1) * size), i * size);
    return out;
  };
  const kept = (tensors: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, { data, dims }]) => [
        name,
        float32(rowsOf(data as Float32Array), [alive.length, ...dims.slice(1)]),
      ]),
    );
  return {
    ...chunk,
    rows: pick(chunk.rows),
    lengths: pick(chunk.lengths),
    mask: chunk.mask && rowsOf(chunk.mask),
    cache: kept(chunk.cache),
    encoded: kept(chunk.encoded),
    alive: new Float32Array(alive.length).fill(1),
  };
}
