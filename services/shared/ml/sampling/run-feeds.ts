import { float32, int64, type Tensor } from "../graph/tensor.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { drawFeeds } from "./draw.js";
import type { Row } from "./row.js";
import { cachedLength } from "./row-cache.js";

/** How far a run goes. */
export interface RunLength {
  /** Most tokens that a row gets. */
  readonly steps: number;
  /** So few rows that go on end it. */
  readonly enough: number;
}

/** What a run of rows with the same settings is fed beside weights and caches; see `decodeGraph`. */
export function runFeeds(config: ModelConfig, rows: readonly Row[], { steps, enough }: RunLength): Record<string, Tensor> {
  const { params } = rows[0]!;
  const goesOn = new Float32Array(config.vocabSize).fill(1);
  for (const id of params.stopIds) goesOn[id] = 0;
  return {
    ...tokenFeeds(rows),
    ...uniformFeeds(rows, steps),
    ...drawFeeds(params, config.vocabSize),
    limits: int64(
      rows.map(({ room }) => room),
      [rows.length, 1],
    ),
    enough: float32([enough], []),
    goesOn: float32(goesOn, [config.vocabSize]),
    topIds: int64([params.topIds ?? 0]),
  };
}

/** What the rows read at first, one behind another; a prompt that several begin with once, for all of them. */
function tokenFeeds(rows: readonly Row[]): Record<string, Tensor> {
  const longest = Math.max(...rows.map(({ unread }) => unread.length));
  const [tokens, positions, rowOf, placeOf, lastOf, tokenOf] = Array.from({ length: 6 }, () => [] as number[]) as [
    number[],
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const begun = new Map<string, number>();
  for (const [b, { promptKey, unread, cached }] of rows.entries()) {
    const prompt = cached ? undefined : promptKey;
    const known = prompt === undefined ? undefined : begun.get(prompt);
    const [start, before] = [known ?? tokens.length, cachedLength(cached)];
    if (prompt !== undefined) begun.set(prompt, start);
    for (const [place, id] of known === undefined ? unread.entries() : []) {
      tokens.push(id);
      positions.push(before + place);
      rowOf.push(b);
      placeOf.push(place);
    }
    lastOf.push(start + unread.length - 1);
    for (let place = 0; place < longest; place++) tokenOf.push(start + Math.min(place, unread.length - 1));
  }
  const all = [tokens.length, 1];
  return {
    tokens: int64(tokens, all),
    positions: int64(positions, all),
    rowOf: int64(rowOf, all),
    placeOf: int64(placeOf, all),
    lastOf: int64(lastOf),
    tokenOf: int64(tokenOf, [rows.length, longest]),
    cached: int64(rows.map(({ cached }) => cachedLength(cached))),
  };
}

function uniformFeeds(rows: readonly Row[], steps: number): Record<string, Tensor> {
  const [block, token] = [new Float32Array(steps * rows.length), new Float32Array(steps * rows.length)];
  for (const [b, row] of rows.entries())
    for (let n = 0; n < steps; n++) [block[n * rows.length + b], token[n * rows.length + b]] = row.uniforms(n) as [number, number];
  const dims = [steps, rows.length, 1];
  return { blockUniforms: float32(block, dims), tokenUniforms: float32(token, dims) };
}
