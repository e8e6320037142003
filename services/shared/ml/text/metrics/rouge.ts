/**
 * ROUGE F1 between two texts (Lin 2004), as the `rouge-score` package computes it without stemming: lower case, runs of
 * letters and digits are words. 0 if either text has no words (or no n-grams).
 */
const words = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

const f1 = (overlap: number, candidate: number, reference: number): number => (overlap === 0 ? 0 : (2 * overlap) / (candidate + reference));

/** ROUGE-N: overlap of n-grams. */
export function rougeN(candidate: string, reference: string, n: number): number {
  const grams = (text: string) => {
    const list = words(text);
    const counts = new Map<string, number>();
    for (let i = 0; i + n <= list.length; i++) {
      const gram = list.slice(i, i + n).join(" ");
      counts.set(gram, (counts.get(gram) ?? 0) + 1);
    }
    return counts;
  };
  const [ours, theirs] = [grams(candidate), grams(reference)];
  let overlap = 0;
  for (const [gram, count] of ours) overlap += Math.min(count, theirs.get(gram) ?? 0);
  const size = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);
  return f1(overlap, size(ours), size(theirs));
}

/** ROUGE-L: longest common subsequence of words. */
export function rougeL(candidate: string, reference: string): number {
  const [ours, theirs] = [words(candidate), words(reference)];
  let row = new Array<number>(theirs.length + 1).fill(0);
  for (const word of ours) {
    const next = [0];
    for (let j = 1; j <= theirs.length; j++) next[j] = word === theirs[j - 1] ? row[j - 1]! + 1 : Math.max(row[j]!, next[j - 1]!);
    row = next;
  }
  return f1(row.at(-1)!, ours.length, theirs.length);
}
