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

/** Tokens of a batch, padding included. @param lengths as those of {@link batchesWithin} */
export const paddedTokens = (lengths: readonly (readonly number[])[]): number => sum(widestOf(lengths)) * lengths.length;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The longest text in each place. */
const widestOf = (lengths: readonly (readonly number[])[]): number[] =>
  lengths.reduce<number[]>((widest, own) => own.map((length, place) => Math.max(length, widest[place] ?? 0)), []);
