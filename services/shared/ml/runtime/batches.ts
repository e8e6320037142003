/**
 * Items by length, longest first, so that little is padding: batches of at most `budget` tokens, padding included. A
 * longer item stands alone.
 *
 * @param lengths tokens of each item: of each of its texts, where it has several that are padded each by themselves
 * @returns indices of the items, batch by batch
 */
export function batchesWithin(lengths: readonly (number | readonly number[])[], budget: number): number[][] {
  const texts = lengths.map((length) => (typeof length === "number" ? [length] : length));
  const totals = texts.map(sum);
  const batches: number[][] = [];
  let widest: readonly number[] = [];
  for (const i of totals.map((_, i) => i).sort((a, b) => totals[b]! - totals[a]! || a - b)) {
    const last = batches.at(-1);
    const wider = widestOf([widest, texts[i]!]);
    if (last && (last.length + 1) * sum(wider) <= budget) last.push(i);
    else batches.push([i]);
    widest = batches.at(-1) === last ? wider : texts[i]!;
  }
  return batches;
}

/**
 * Items in the batches that cost least: tokens with their padding, and `overhead` tokens for each batch. At most `budget` tokens to
 * a batch; a longer item stands alone.
 *
 * @param lengths as those of {@link batchesWithin}
 * @returns indices of the items, batch by batch, those of a batch in their order
 */
export function cheapestBatches(lengths: readonly (readonly number[])[], budget: number, overhead: number): number[][] {
  const totals = lengths.map(sum);
  const order = totals.map((_, i) => i).sort((a, b) => totals[b]! - totals[a]! || a - b);
  // Of the longest n items: the least cost, and where their last batch begins.
  const best: { readonly cost: number; readonly start: number }[] = [{ cost: 0, start: 0 }];
  for (let end = 1; end <= order.length; end++) {
    let [cost, start, widest] = [Number.POSITIVE_INFINITY, end - 1, [] as readonly number[]];
    for (let from = end - 1; from >= 0; from--) {
      widest = widestOf([widest, lengths[order[from]!]!]);
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

/** Items in their order, in batches whose sizes sum up to at most `most`; a larger item stands alone. */
export function consecutive<T>(items: readonly T[], sizeOf: (item: T) => number, most: number): T[][] {
  const batches: T[][] = [];
  let total = 0;
  for (const item of items) {
    const size = sizeOf(item);
    const last = batches.at(-1);
    if (last && total + size <= most) last.push(item);
    else batches.push([item]);
    total = batches.at(-1) === last ? total + size : size;
  }
  return batches;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The longest text in each place. */
const widestOf = (lengths: readonly (readonly number[])[]): number[] =>
  lengths.reduce<number[]>((widest, own) => own.map((length, place) => Math.max(length, widest[place] ?? 0)), []);
