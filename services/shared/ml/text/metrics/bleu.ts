/**
 * Sentence BLEU of up to four words, in [0, 1] (Papineni et al. 2002; exponential smoothing as sacrebleu's default for
 * sentences: the k-th order without a match counts as 1/2ᵏ matches).
 */
export function bleu(candidate: string, reference: string): number {
  const split = (text: string) => text.trim().split(/\s+/).filter(Boolean);
  const [ours, theirs] = [split(candidate), split(reference)];
  if (ours.length === 0 || theirs.length === 0) return 0;
  let smoothing = 1;
  let logSum = 0;
  let orders = 0;
  for (let n = 1; n <= 4 && n <= ours.length; n++) {
    const [a, b] = [count(ours, n), count(theirs, n)];
    let matches = 0;
    for (const [gram, times] of a) matches += Math.min(times, b.get(gram) ?? 0);
    const total = ours.length - n + 1;
    if (matches === 0) smoothing *= 2;
    logSum += Math.log(matches === 0 ? 1 / (smoothing * total) : matches / total);
    orders++;
  }
  const brevity = ours.length > theirs.length ? 1 : Math.exp(1 - theirs.length / ours.length);
  return brevity * Math.exp(logSum / orders);
}

function count(words: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= words.length; i++) {
    const gram = words.slice(i, i + n).join(" ");
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}
