// Dimensions: B batch rows, V vocabulary.
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import type { SamplingParams } from "./params.js";

/** Score of a token that truncation took away: its probability is 0 in float32. */
const removed = -1e9;

/** A mass that every cumulative sum must reach before a token is taken: skips tokens of probability 0 at u = 0. */
const tinyMass = 1e-30;

/**
 * Draws one token per row from softmax(logits / temperature), truncated: inverse CDF at a given uniform.
 *
 * @param logits_BV float32; @param uniforms_B float32 in [0, 1); @param temperature float32 []
 * @returns tokens int64 [B], and their log-probability at temperature 1 without truncation, float32 [B]
 */
export function drawTokens(
  logits_BV: Value,
  uniforms_B: Value,
  temperature: Value,
  params: SamplingParams,
): { tokens_B: Value; logprobs_B: Value } {
  const tokens_B =
    params.temperature === 0 ? op.argMax(logits_BV) : inverseCdf(truncate(op.div(logits_BV, temperature), params), uniforms_B);
  const logprobs_B = op.squeeze(op.sub(op.gatherElements(logits_BV, op.unsqueeze(tokens_B, [1])), op.reduceLogSumExp(logits_BV)), [1]);
  return { tokens_B, logprobs_B };
}

/** Index of the first token at which the cumulative mass reaches u times the whole. */
function inverseCdf(scores_BV: Value, uniforms_B: Value): Value {
  const vocab = scores_BV.shape[1] as number;
  const mass_BV = op.exp(op.sub(scores_BV, op.reduceMax(scores_BV, [1], true)));
  const cdf_BV = op.cumSum(mass_BV, 1);
  const total_B1 = op.slice(cdf_BV, 1, vocab - 1, vocab);
  const target_B1 = op.max(op.mul(op.unsqueeze(uniforms_B, [1]), total_B1), tinyMass);
  const before_BV = op.cast(op.less(cdf_BV, target_B1), "float32");
  return op.cast(op.reduceSum(before_BV, [1]), "int64");
}

/** Takes away what top-k and top-p leave out. Tokens that tie with the last one kept stay. */
function truncate(scores_BV: Value, { topK, topP }: SamplingParams): Value {
  const vocab = scores_BV.shape[1] as number;
  let kept_BV = scores_BV;
  if (topK > 0 && topK < vocab) {
    const [best_BK] = op.topK(kept_BV, topK);
    kept_BV = op.where(op.greaterOrEqual(kept_BV, op.slice(best_BK, 1, topK - 1, topK)), kept_BV, removed);
  }
  if (topP < 1) {
    const width = topK > 0 ? Math.min(topK, vocab) : vocab;
    const [sorted_BW] = op.topK(kept_BV, width);
    const probabilities_BW = op.softmax(sorted_BW);
    // A token stays while the mass before it is below topP: never empty, and the one that crosses the line stays.
    const stays_BW = op.less(op.cumSum(probabilities_BW, 1, { exclusive: true }), scores_BV.graph.scalar(topP));
    const lowest_B1 = op.reduceMin(op.where(stays_BW, sorted_BW, -removed), [1], true);
    kept_BV = op.where(op.greaterOrEqual(kept_BV, lowest_B1), kept_BV, removed);
  }
  return kept_BV;
}
