/** 1 if the texts are equal but for white space at the ends, else 0. */
export const exactMatch = (candidate: string, reference: string): number => (candidate.trim() === reference.trim() ? 1 : 0);

/**
 * The number that a text answers with: the one after `####` (GSM8K's form), else the last one. Thousands separators and
 * currency signs are ignored.
 */
export function numericAnswer(text: string): number | undefined {
  const answer = /####\s*([^\n]*)/.exec(text)?.[1] ?? text;
  const last = answer
    .replace(/[,$]/g, "")
    .match(/-?\d+(\.\d+)?/g)
    ?.at(-1);
  return last === undefined ? undefined : Number(last);
}

/** 1 if both texts answer with the same number, else 0. */
export function numericMatch(candidate: string, reference: string): number {
  const answer = numericAnswer(candidate);
  return answer !== undefined && answer === numericAnswer(reference) ? 1 : 0;
}
