/**
 * Items by length, longest first, so that little is padding: batches of at most `budget` tokens, padding included. A
 * longer item stands alone.
 *
 * @param lengths tokens of each item
 * @returns indices of the items, batch by batch
 */
export function batchesWithin(lengths: readonly number[], budget: number): number[][] {
  const batches: number[][] = [];
  for (const i of lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b)) {
    const last = batches.at(-1);
    if (last && (last.length + 1) * lengths[last[0]!]! <= budget) last.push(i);
    else batches.push([i]);
  }
  return batches;
}
