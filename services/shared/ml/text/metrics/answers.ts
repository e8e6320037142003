/** 1 if the texts are equal but for white space at the ends, else 0. */
export const exactMatch = (candidate: string, reference: string): number => (candidate.trim() === reference.trim() ? 1 : 0);

/**
 * 1 if the texts are equal once case, punctuation, the articles a, an, the and white space are levelled (SQuAD's
 * normalisation, Rajpurkar et al. 2016), else 0.
 */
export const normalizedMatch = (candidate: string, reference: string): number => (normalized(candidate) === normalized(reference) ? 1 : 0);

const normalized = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, "")
    .replace(/\b(a|an|the)\b/g, " ")
    .trim()
    .replace(/\s+/g, " ");

// A sign belongs to a number only where no digit or bracket stands before it: 10-3 ends with 3.
const number = /(?:(?<![\d)])[-−])?(?:\d+(?:\.\d+)?|\.\d+)/g;

/**
 * The number that a text answers with: the last one after the first `####` (GSM8K's form), or, without that, the last
 * one of the text. Commas between thousands and currency signs are ignored. undefined if there is none.
 */
export function numericAnswer(text: string): number | undefined {
  const answer = /####\s*([^\n]*)/.exec(text)?.[1] ?? text;
  const last = answer
    .replace(/(?<=\d),(?=\d{3}(?!\d))|[$€£]/g, "")
    .match(number)
    ?.at(-1);
  return last === undefined ? undefined : Number(last.replace("−", "-"));
}

/** 1 if both texts answer with the same number, else 0. */
export function numericMatch(candidate: string, reference: string): number {
  const answer = numericAnswer(candidate);
  return answer !== undefined && answer === numericAnswer(reference) ? 1 : 0;
}
