import type { TrainSequence } from "./batch.js";

/** Where the completion tokens of a micro-batch stand among its rows. */
export interface PlacedRows {
  /** Row of each token, sequence by sequence; they rise. */
  readonly at: Int32Array;
  /** Rows with those that nothing stands in. */
  readonly rows: number;
}

type Placed = Pick<TrainSequence, "completionIds" | "spans">;

/** Length of the longest span that is scored as one; 1 where each token is scored by itself. */
export const longestSpan = (sequences: readonly Placed[]): number =>
  sequences.reduce((most, { spans = new Int32Array() }) => spans.reduce((longest, start, n) => Math.max(longest, n - start + 1), most), 1);

/**
 * Gives each completion token a row: one after the other, but that a span never lies in two blocks, where rows stay empty before it.
 *
 * @param blockRows rows of a block, at least as many as the longest span has; 0 for one block of them all
 */
export function placeRows(sequences: readonly Placed[], blockRows: number): PlacedRows {
  const at: number[] = [];
  let row = 0;
  for (const { completionIds, spans } of sequences) {
    for (let n = 0; n < completionIds.length; n++, row++) {
      if (blockRows && spans && spans[n] === n) {
        const room = blockRows - (row % blockRows);
        if (spanLength(spans, n) > room) row += room;
      }
      at.push(row);
    }
  }
  return { at: Int32Array.from(at), rows: blockRows ? Math.ceil(row / blockRows) * blockRows : row };
}

function spanLength(spans: Int32Array, start: number): number {
  let end = start + 1;
  while (end < spans.length && spans[end] === start) end++;
  return end - start;
}
