/** How often each run of n tokens occurs. */
export function countNgrams(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= tokens.length; i++) {
    // No token holds a line feed, so that different runs have different keys.
    const gram = tokens.slice(i, i + n).join("\n");
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}
