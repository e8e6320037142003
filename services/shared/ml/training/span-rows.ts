// How the spans of sequences become inputs of a step's graph. Dimensions: N completion tokens, R rows.
import { RetortError } from "../../base/errors.js";
import { float32, type Tensor } from "../graph/tensor.js";
import { type Objective, readsSignal } from "../losses/objective.js";
import type { TrainSequence } from "./batch.js";

/** Whether some tokens of a micro-batch are scored together. */
export const hasSpans = (sequences: readonly Pick<TrainSequence, "spans">[]): boolean => sequences.some(({ spans }) => spans);

/** Of each row, the first row of its span within its block, and its share of the span. */
interface SpanColumns {
  readonly starts: BigInt64Array;
  readonly shares: Float32Array;
}

/** Rows that are spans by themselves. @param blockRows 0 for one block of all rows */
export const emptySpans = (rows: number, blockRows: number): SpanColumns => ({
  starts: BigInt64Array.from({ length: rows }, (_, row) => BigInt(within(row, blockRows))),
  shares: new Float32Array(rows).fill(1),
});

const within = (row: number, blockRows: number): number => (blockRows ? row % blockRows : row);

/** Notes a sequence's spans. @param at [N] rows of its tokens */
export function fillSpans({ starts, shares }: SpanColumns, at: Int32Array, spans: Int32Array, blockRows: number): void {
  const lengths = new Map<number, number>();
  for (const start of spans) lengths.set(start, (lengths.get(start) ?? 0) + 1);
  spans.forEach((start, n) => {
    starts[at[n]!] = BigInt(within(at[start]!, blockRows));
    shares[at[n]!] = 1 / lengths.get(start)!;
  });
}

/** Spans as the loss's inputs. */
export const spanFeeds = ({ starts, shares }: SpanColumns): Record<string, Tensor> => ({
  spanStarts: { dtype: "int64", dims: [starts.length], data: starts },
  spanShares: float32(shares, [shares.length]),
});

/**
 * Refuses what are no spans, and objectives that compare more than the given tokens' log-probabilities.
 *
 * @throws InvalidArgument naming the sequence and the token
 */
export function checkSpans(spans: Int32Array, count: number, member: number, objective: Objective): void {
  const refuse = (what: string) => {
    throw new RetortError("InvalidArgument", `sequence ${member}: ${what}`);
  };
  if (objective.divergence !== "opd" || readsSignal(objective))
    refuse(`its teacher has other tokens, and ${objective.divergence} compares distributions over the same ones; use opd with sampled`);
  if (spans.length !== count) refuse(`spans has ${spans.length} entries for ${count} completion tokens`);
  const odd = spans.findIndex((start, n) => start !== n && (n === 0 || start !== spans[n - 1]));
  if (odd >= 0) refuse(`spans[${odd}] is ${spans[odd]}; each token belongs to the span of the token before it, or begins one`);
}
