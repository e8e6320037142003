// Dimensions: N tokens of one tokenisation of a text, M of another.

/** A stretch of text at whose ends two tokenisations both have a border: tokens [from, to) of the one, [otherFrom, otherTo) of the other. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly otherFrom: number;
  readonly otherTo: number;
}

/**
 * The smallest spans of a text at whose ends two tokenisations both have a border, in their order. Each has a token of both; together
 * they are the text up to the last border in common, and what lies behind it is in none.
 *
 * An end token writes no byte (length 0): with one on both sides, the two are a span.
 *
 * @param lengths [N] bytes that each token writes
 * @param others [M] of the other tokenisation of the same text
 */
export function commonSpans(lengths: ArrayLike<number>, others: ArrayLike<number>): Span[] {
  const spans: Span[] = [];
  let [from, otherFrom] = [0, 0];
  while (from < lengths.length && otherFrom < others.length) {
    let [to, otherTo] = [from + 1, otherFrom + 1];
    let [bytes, otherBytes] = [Number(lengths[from]), Number(others[otherFrom])];
    while (bytes !== otherBytes) {
      if (bytes < otherBytes) {
        if (to === lengths.length) return spans;
        bytes += Number(lengths[to++]);
      } else {
        if (otherTo === others.length) return spans;
        otherBytes += Number(others[otherTo++]);
      }
    }
    spans.push({ from, to, otherFrom, otherTo });
    [from, otherFrom] = [to, otherTo];
  }
  return spans;
}
