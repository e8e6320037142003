// Dimensions: N scored tokens of a text, V vocabulary.
import { found } from "../../base/found.js";
import { isInFile } from "../graph/file-tensor.js";
import { type Constants, unrounded, type Weight } from "../models/constants.js";
import type { Model } from "../models/model.js";
import type { Answer, ScoreInput } from "../signals/signal.js";
import { Scorer, type ScorerOptions } from "./scorer.js";

/** What an element type costs in accuracy, that of weights and that of layers: against float32 with the weights that the checkpoint has. */
export interface Precision {
  /** Mean over tokens of KL(checkpoint ‖ used) of the next token's distribution, in nats. */
  readonly meanKl: number;
  /** Largest |difference| of a given token's log-probability, in nats. */
  readonly maxLogprobError: number;
  /** How many tokens it was measured on; 0 where nothing is rounded, which costs nothing. */
  readonly tokens: number;
}

/** What a model reads here: prose, arithmetic, a program, a list. */
const texts = [
  "The river rises in the mountains, flows past the old town and reaches the sea after three hundred miles.",
  "Anna has 12 apples and gives 5 of them away. She has 12 - 5 = 7 apples left, and buys 3 more: 10.",
  "def area(width, height):\n    if width < 0 or height < 0:\n        raise ValueError('negative size')\n    return width * height\n",
  "Monday, Tuesday, Wednesday, Thursday, Friday. One, two, three, four, five, six, seven, eight, nine, ten.",
];

/** Tokens of a text that are read, and how many of them before the first one that is scored. */
const [longest, given] = [40, 4];

/** Bytes of the checkpoint's weights that are mapped at once. */
const mostMapped = 2 ** 26;

/**
 * Measures what a model's element type costs, on a few short texts in its own tokens; those that its tokenizer can't write are
 * replaced by ids spread over its vocabulary. The same model gives the same numbers.
 *
 * @param model whose weights are those of `weightsAt`, or are not rounded
 */
export async function precisionOf(model: Model<Constants>, scorer: Scorer, options: ScorerOptions): Promise<Precision> {
  if (scorer.dtype === "float32" && ![...model.params.values()].some(isRounded)) return { meanKl: 0, maxLogprobError: 0, tokens: 0 };
  const inputs = texts.map((text, i) => inputOf(model, text, i));
  // It is used once: laying it out for products would cost more than it saves, and all of it at once would be the process's peak.
  const once = { ...options, packed: false, batchTokens: longest, mostMapped, fused: false as const };
  const exact = await distributions(new Scorer(model.config, unrounded(model.params), once, model.adapter), inputs);
  const used = [];
  for (const input of inputs) used.push(...(await distributions(scorer, [input])));
  let [kl, tokens, maxLogprobError] = [0, 0, 0];
  for (const [i, { full, logprobs }] of exact.entries()) {
    const other = found(used[i], "the distributions");
    kl += full.reduce((sum, logp, at) => (logp === other.full[at] ? sum : sum + Math.exp(logp) * (logp - (other.full[at] as number))), 0);
    maxLogprobError = logprobs.reduce((most, x, n) => Math.max(most, Math.abs(x - (other.logprobs[n] as number))), maxLogprobError);
    tokens += logprobs.length;
  }
  return { meanKl: kl / tokens, maxLogprobError, tokens };
}

const isRounded = (weight: Weight): boolean => isInFile(weight) && (weight.origin !== undefined || weight.quantised !== undefined);

/** [N, V] and [N] of each text, in logarithms. */
async function distributions(scorer: Scorer, inputs: readonly ScoreInput[]): Promise<Required<Pick<Answer, "full" | "logprobs">>[]> {
  const scores = await scorer.score(inputs, { kind: "full", k: 1, temperature: 1 });
  return scores.map(({ full, logprobs }) => ({
    full: found(full, "the distributions"),
    logprobs: found(logprobs, "the log-probabilities"),
  }));
}

function inputOf({ config, tokenizer }: Model<Constants>, text: string, number: number): ScoreInput {
  const most = Math.min(longest, config.maxPositions);
  const ids = idsOf(tokenizer, text).filter((id) => id < config.vocabSize);
  const read = ids.length >= 2 * given ? ids.slice(0, most) : spread(config.vocabSize, most, number);
  const start = Math.min(given, read.length - 1);
  return { promptIds: read.slice(0, start), completionIds: read.slice(start) };
}

/** A text's ids; none if the tokenizer has no token for a part of it. */
function idsOf(tokenizer: Model["tokenizer"], text: string): Int32Array {
  try {
    return tokenizer.encodeText(text).ids;
  } catch {
    return new Int32Array();
  }
}

/** Ids far from each other, the same for the same number. */
const spread = (vocab: number, length: number, number: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => Math.floor((((i + 1) * 0.6180339887 + number * 0.25) % 1) * vocab));
