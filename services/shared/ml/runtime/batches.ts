/**
 * What a batch costs a model beside its tokens, in tokens: passes over its weights, and some milliseconds of starting operators,
 * in which a small model goes through many tokens.
 */
export const batchOverhead = (parameters: number): number => 32 + 1e8 / parameters;

/**
 * Items in the batches that cost least: tokens with their padding, and `overhead` tokens for each batch. At most `budget` tokens to
 * a batch; a longer item stands alone.
 *
 * @param lengths tokens of each item: of each of its texts, where it has several that are padded each by themselves
 * @returns indices of the items, batch by batch, longest first, those of a batch in their order
 */
export function cheapestBatches(lengths: readonly (readonly number[])[], budget: number, overhead: number): number[][] {
  const totals = lengths.map(sum);
  const order = totals.map((_, i) => i).sort((a, b) => totals[b]! - totals[a]! || a - b);
  // Of the longest n items: the least cost, and where their last batch begins.
  const best: { readonly cost: number; readonly start: number }[] = [{ cost: 0, start: 0 }];
  for (let end = 1; end <= order.length; end++) {
    let [cost, start] = [Number.POSITIVE_INFINITY, end - 1];
    // The longest text in each place.
    const widest: number[] = [];
    for (let from = end - 1; from >= 0; from--) {
      for (const [place, length] of lengths[order[from]!]!.entries()) widest[place] = Math.max(length, widest[place] ?? 0);
      const tokens = (end - from) * sum(widest);
      if (tokens > budget && from < end - 1) break;
      const whole = best[from]!.cost + tokens + overhead;
      if (whole <= cost) [cost, start] = [whole, from];
    }
    best.push({ cost, start });
  }
  const batches: number[][] = [];
  for (let end = order.length; end > 0; end = best[end]!.start) batches.unshift(order.slice(best[end]!.start, end).sort((a, b) => a - b));
  return batches;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
