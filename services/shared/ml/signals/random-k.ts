// Dimensions: R rows (completion tokens), V vocabulary, K draws, U drawn classes.
import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int32, type Tensor } from "../graph/tensor.js";
import { inverseCdf } from "../sampling/draw.js";
import { cutRows, logprobsOf } from "./answer-rows.js";
import { checkLength } from "./checks.js";
import { countDraws, drawUniforms } from "./draws.js";
import { type EstimateForm, inputOf, perRow } from "./form.js";
import { ofLabels } from "./logprobs.js";
import type { Answer, AnswerRows, ScoredRows, ScorePart, SignalDefinition, SignalLayout } from "./signal.js";

/** k independent draws per row, one after the other, so that no array is larger than [R, V]. */
function outputs({ graph, perRow, logits, labels_R }: ScoredRows): Record<string, Value> {
  const logp_RV = op.logSoftmax(logits());
  const p_RV = op.exp(logp_RV);
  const draw = inverseCdf(p_RV);
  const blocks_KR1 = perRow("drawBlocks", "float32", ["K", "R", 1]);
  const tokens_KR1 = perRow("drawTokens", "float32", ["K", "R", 1]);
  const body = new Graph("draws", graph);
  const iteration = body.input("draws.iteration", "int64", []);
  body.input("draws.condition", "bool", []);
  const block_B1 = op.gather(blocks_KR1, iteration);
  const drawn_R1 = draw({ block_B1, token_B1: op.gather(tokens_KR1, iteration) });
  body.output("draws.continue", body.constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) }));
  body.output("draws.token", op.cast(drawn_R1, "int32"));
  const count = op.squeeze(op.dimOf(blocks_KR1, 0), [0]);
  const { scanned } = op.loop(graph, body, count, undefined, [], [{ dtype: "int32", shape: ["K", logp_RV.shape[0]!, 1] }]);
  return {
    logprobs: ofLabels(logp_RV, labels_R),
    draws: op.transpose(op.squeeze(scanned[0]!, [2]), [1, 0]),
    entropy: op.neg(op.reduceSum(op.mul(p_RV, logp_RV), [1])),
  };
}

function answer(rows: AnswerRows): Answer {
  return {
    logprobs: logprobsOf(rows),
    entropy: cutRows(rows, "entropy", Float32Array),
    ...countDraws(cutRows(rows, "draws", Int32Array, rows.k), rows.k),
  };
}

/**
 * Counts c of k draws from the teacher (Anshumann et al. 2025, arXiv 2503.16870, with the teacher itself as proposal):
 * −Σ (c/k) log q − H(p). Its expectation over the draws is KL(p‖q), that of its gradient q − c/k is q − p; one estimate
 * may be below 0.
 */
const form: EstimateForm = {
  gives: "forwardKl",
  declare: (graph, rows) =>
    perRow({
      ids: graph.input("signal.ids", "int32", [rows, "U"]),
      counts: graph.input("signal.counts", "float32", [rows, "U"]),
      entropy: graph.input("signal.entropy", "float32", [rows]),
    }),
  forwardKl: (signal, logits_RV, { k }) => {
    const logq_RU = op.gatherElements(op.logSoftmax(logits_RV), inputOf(signal, "ids"));
    const crossEntropy_R = op.reduceSum(op.mul(op.div(inputOf(signal, "counts"), -k), logq_RU), [-1]);
    return op.sub(crossEntropy_R, inputOf(signal, "entropy"));
  },
};

interface Draws {
  readonly ids: Int32Array;
  readonly counts: Uint16Array;
  readonly entropy: Float32Array;
  /** Drawn classes of each token. */
  readonly width: number;
}

/** A sequence's draws, checked: classes of the vocabulary that were drawn k times at each token, and an entropy. */
function drawsOf({ score, member, count }: ScorePart, k: number, vocab: number): Draws {
  const refuse = (message: string): never => {
    throw new RetortError("InvalidArgument", `sequence ${member}: ${message}`);
  };
  const { ids = new Int32Array() } = score;
  const width = ids.length / count;
  if (!Number.isInteger(width) || width === 0) refuse(`score.ids has ${counted(ids.length, "element")} for ${counted(count, "token")}`);
  const counts = checkLength(score.counts, count * width, member, "counts");
  const stray = ids.findIndex((id) => id < 0 || id >= vocab);
  if (stray >= 0) refuse(`score.ids[${stray}] is ${ids[stray]}, outside the vocabulary of ${vocab}`);
  for (let n = 0; n < count; n++) {
    const drawn = counts.subarray(n * width, (n + 1) * width).reduce((a, b) => a + b, 0);
    if (drawn !== k) refuse(`the counts of token ${n} add up to ${drawn}; the objective asks for k=${k} draws`);
  }
  const bad = score.entropy?.findIndex((x) => !(x >= -1e-3 && x < Number.POSITIVE_INFINITY)) ?? -1;
  if (bad >= 0) refuse(`score.entropy[${bad}] is ${score.entropy?.[bad]}, which is no entropy`);
  return { ids, counts, entropy: checkLength(score.entropy, count, member, "entropy"), width };
}

function layout({ rows, vocab, k, parts }: SignalLayout): Record<string, Tensor> {
  const drawn = parts.map((part) => ({ ...part, ...drawsOf(part, k, vocab) }));
  const width = Math.max(...drawn.map((own) => own.width));
  const [ids_RU, counts_RU, entropy_R] = [new Int32Array(rows * width), new Float32Array(rows * width), new Float32Array(rows)];
  for (const { ids, counts, entropy, width: own, row, count } of drawn) {
    entropy_R.set(entropy, row);
    for (let n = 0; n < count; n++) {
      ids_RU.set(ids.subarray(n * own, (n + 1) * own), (row + n) * width);
      counts_RU.set(counts.subarray(n * own, (n + 1) * own), (row + n) * width);
    }
  }
  return {
    "signal.ids": int32(ids_RU, [rows, width]),
    "signal.counts": float32(counts_RU, [rows, width]),
    "signal.entropy": float32(entropy_R, [rows]),
  };
}

/** The classes of k draws from the teacher's distribution, with how often each came, and its entropy. */
export const randomK: SignalDefinition = {
  // Counts are 16 bits wide.
  largestK: () => 65_535,
  studentChooses: false,
  needsHead: false,
  // Ids and counts of the different classes.
  bytesPerToken: ({ k }, { vocab }) => 6 * Math.min(k, vocab) + 8,
  isSmall: true,
  outputs,
  feeds: drawUniforms,
  answer,
  form,
  layout,
};
