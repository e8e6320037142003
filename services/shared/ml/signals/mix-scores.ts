// Dimensions: M models, N completion tokens, V vocabulary, K classes, W classes of the union, D_m width of a model's hidden states.
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Score, Signal } from "./score.js";
import type { SignalKind } from "./table.js";

/** log Σ_m w_m exp(x_m), element by element. A share of each model's probability; -Infinity stands for none. */
function mixedLogs(arrays: readonly Float32Array[], shares: readonly number[]): Float32Array {
  const [first] = arrays;
  return found(first, "a model's log-probabilities").map((_, i) => {
    const largest = arrays.reduce((most, array) => Math.max(most, array[i]!), Number.NEGATIVE_INFINITY);
    if (largest === Number.NEGATIVE_INFINITY) return largest;
    return largest + Math.log(arrays.reduce((sum, array, m) => sum + shares[m]! * Math.exp(array[i]! - largest), 0));
  });
}

type States = Float32Array | Uint16Array;

/** The models' hidden states side by side, [N, Σ D_m]: their heads make a mixture of them. */
function besides(arrays: readonly States[], tokens: number): States {
  const widths = arrays.map(({ length }) => length / tokens);
  const width = widths.reduce((a, b) => a + b, 0);
  const half = arrays[0] instanceof Uint16Array;
  const states = half ? new Uint16Array(tokens * width) : new Float32Array(tokens * width);
  let at = 0;
  for (let n = 0; n < tokens; n++)
    for (const [m, array] of arrays.entries()) {
      const own = widths[m]!;
      states.set(array.subarray(n * own, (n + 1) * own), at);
      at += own;
    }
  return states;
}

/** The kinds of signal that a mixture of models gives, exactly, from what each of them says of the same kind. */
const mixedAsTheyAre: readonly SignalKind[] = ["full", "hidden", "sampled", "student_top_k"];

/**
 * What a mixture of models, p(v) = Σ_m w_m p_m(v) at every token, says of a completion, from what each model says of it: log-probabilities
 * are mixed; hidden states stand side by side, for the learner's heads to mix what they make of them. Each model's logits have been divided
 * by the signal's temperature before.
 *
 * @param scores of one sequence, by model, of one kind (`full`, `hidden`, `sampled` or `student_top_k`)
 * @param shares w_m, which add up to 1
 * @param tokens of the completion
 * @throws Internal for another kind
 */
export function mixedScore(scores: readonly Score[], shares: readonly number[], tokens: number): Score {
  const [first] = scores;
  const { signal, ids } = found(first, "a model's score");
  if (!mixedAsTheyAre.includes(signal.kind)) throw new RetortError("Internal", `the signal ${signal.kind} can't be mixed of its parts`);
  const mixed = (name: "full" | "logprobs" | "tail" | "topLogprobs") =>
    first?.[name] &&
    mixedLogs(
      scores.map((score) => found(score[name], `a model's ${name}`)),
      shares,
    );
  const hidden =
    first?.hidden &&
    besides(
      scores.map((score) => found(score.hidden, "a model's hidden states")),
      tokens,
    );
  const answer = { logprobs: mixed("logprobs"), full: mixed("full"), topLogprobs: mixed("topLogprobs"), tail: mixed("tail"), ids, hidden };
  return { signal, ...(Object.fromEntries(Object.entries(answer).filter(([, value]) => value)) as typeof answer) };
}

/**
 * The union of the classes that several models find most probable, as every model is to be asked about them, [N, W] with
 * W = min(V, M·K): where models agree, further classes fill it up, those of the lowest ids.
 *
 * @param scores `top_k` of one sequence, by model
 */
export function unionOf(scores: readonly Score[], vocab: number): { readonly ids: Int32Array; readonly width: number } {
  const { k } = found(scores[0], "a model's score").signal;
  const width = Math.min(vocab, scores.length * k);
  const tokens = found(scores[0]?.ids, "a model's classes").length / k;
  const ids = new Int32Array(tokens * width);
  for (let n = 0; n < tokens; n++) {
    const own = new Set(scores.flatMap((score) => [...found(score.ids, "a model's classes").subarray(n * k, (n + 1) * k)]));
    for (let v = 0; own.size < width; v++) own.add(v);
    ids.set([...own], n * width);
  }
  return { ids, width };
}

/**
 * The k classes of the union that a mixture finds most probable, in falling order, as `top_k` has them; what is left of the union joins
 * the tail, so that the mass of the k + 1 classes is exactly the mixture's.
 *
 * @param mixed `student_top_k` of the mixture over {@link unionOf}
 * @param signal `top_k`, as it was asked
 */
export function topOfUnion({ logprobs, ids, topLogprobs, tail }: Score, signal: Signal): Score {
  const [all, logs, rest] = [found(ids, "the union"), found(topLogprobs, "its log-probabilities"), found(tail, "its tail")];
  const tokens = rest.length;
  const width = all.length / tokens;
  const { k } = signal;
  const [topIds, top, left] = [new Int32Array(tokens * k), new Float32Array(tokens * k), new Float32Array(tokens)];
  for (let n = 0; n < tokens; n++) {
    const own = logs.subarray(n * width, (n + 1) * width);
    const order = Array.from(own.keys()).sort((a, b) => own[b]! - own[a]! || all[n * width + a]! - all[n * width + b]!);
    const at = (place: number) => n * width + order[place]!;
    for (let i = 0; i < k; i++) {
      topIds[n * k + i] = all[at(i)]!;
      top[n * k + i] = logs[at(i)]!;
    }
    const dropped = Array.from({ length: width - k }, (_, i) => logs[at(k + i)]!);
    left[n] = logOfSum([rest[n]!, ...dropped]);
  }
  return { signal, logprobs, ids: topIds, topLogprobs: top, tail: left };
}

function logOfSum(logs: readonly number[]): number {
  const largest = Math.max(...logs);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  return largest + Math.log(logs.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}
