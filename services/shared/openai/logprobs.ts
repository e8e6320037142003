import type { Score, Signal } from "../ml/signals/score.js";
import type { CallableModel } from "./served-model.js";

/** A text whose tokens are asked about: those of `ids`, behind `before`. */
export interface AskedText {
  readonly before: Int32Array;
  readonly ids: readonly number[];
}

/** A class of the vocabulary at a token. */
export interface ClassLogprob {
  readonly id: number;
  readonly text: string;
  readonly logprob: number;
}

/** What the model says of one token: at temperature 1 and untruncated, however it was sampled. */
export interface TokenLogprob {
  readonly id: number;
  /** The texts of a text's tokens make the text: a character that several tokens write is the last one's. */
  readonly text: string;
  /** Natural logarithm; undefined for the first token of all, which nothing predicts. */
  readonly logprob: number | undefined;
  /** The most probable classes, the most probable first. */
  readonly top: readonly ClassLogprob[];
}

/**
 * Log-probabilities of the tokens of texts, all scored together.
 *
 * @param k most probable classes of each token; 0 for none
 * @throws InvalidArgument for more tokens than the model reads, ids outside its vocabulary, or more classes than it has
 */
export async function tokenLogprobs(model: CallableModel, asked: readonly AskedText[], k: number): Promise<TokenLogprob[][]> {
  const texts = await Promise.all(asked.map((text) => tokenTexts(model, text)));
  const scores = await scored(model, asked, k);
  const spelled = await classTexts(model, scores, contextOf(asked, texts));
  return asked.map(({ before, ids }, i) => {
    const score = scores[i];
    const first = before.length > 0 ? 0 : 1;
    return ids.map((id, n): TokenLogprob => {
      const row = n - first;
      const text = texts[i]?.[n] ?? "";
      if (row < 0 || !score) return { id, text, logprob: undefined, top: [] };
      return { id, text, logprob: score.logprobs?.[row], top: topAt(score, row, k, spelled) };
    });
  });
}

/** The texts of a text's tokens. */
async function tokenTexts(model: CallableModel, { before, ids }: AskedText): Promise<string[]> {
  const parts = ids.map((_, n) => ({ promptIds: before, ids: Int32Array.from(ids.slice(0, n + 1)) }));
  const wholes = await model.completionTexts(parts);
  let told = 0;
  return wholes.map((whole, n) => {
    // What is not a character yet is told with the token that completes it.
    const sure = n === wholes.length - 1 ? whole : whole.replace(/\uFFFD+$/, "");
    const text = sure.slice(told);
    told = Math.max(told, sure.length);
    return text;
  });
}

async function scored(model: CallableModel, asked: readonly AskedText[], k: number): Promise<(Score | undefined)[]> {
  const signal: Signal = k > 0 ? { kind: "top_k", k, temperature: 1 } : { kind: "sampled", k: 0, temperature: 1 };
  const inputs = asked.map(({ before, ids }) => {
    const given = Math.max(1, before.length);
    const all = Int32Array.from([...before, ...ids]);
    return { promptIds: all.slice(0, given), completionIds: all.slice(given) };
  });
  const good = inputs.filter(({ completionIds }) => completionIds.length > 0);
  const scores = (good.length > 0 ? await model.score(good, signal) : []).values();
  return inputs.map(({ completionIds }) => (completionIds.length > 0 ? (scores.next().value as Score) : undefined));
}

/** A token that writes something: behind it, others write what they do within a text, a space before a word among it. */
function contextOf(asked: readonly AskedText[], texts: readonly (readonly string[])[]): Int32Array {
  const writes = asked.flatMap(({ ids }, i) => ids.filter((_, n) => /\S$/.test(texts[i]?.[n] ?? "")));
  return Int32Array.from(writes.slice(0, 1));
}

/** The text of each class that is named, within a text. */
async function classTexts(
  model: CallableModel,
  scores: readonly (Score | undefined)[],
  promptIds: Int32Array,
): Promise<ReadonlyMap<number, string>> {
  const ids = [...new Set(scores.flatMap((score) => [...(score?.ids ?? [])]))];
  const texts = ids.length > 0 ? await model.completionTexts(ids.map((id) => ({ promptIds, ids: Int32Array.of(id) }))) : [];
  return new Map(ids.map((id, i) => [id, texts[i] ?? ""]));
}

function topAt({ ids, topLogprobs }: Score, row: number, k: number, spelled: ReadonlyMap<number, string>): ClassLogprob[] {
  if (!ids || !topLogprobs) return [];
  return Array.from({ length: k }, (_, i) => {
    const [id, logprob] = [ids[row * k + i] ?? 0, topLogprobs[row * k + i] ?? 0];
    return { id, logprob, text: spelled.get(id) ?? "" };
  });
}
