// Dimensions: R rows (completion tokens), D width, V vocabulary, K classes or draws.
import { Graph, type Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { inverseCdf } from "../sampling/draw.js";
import type { Signal, SignalKind } from "../signals/score.js";

/** What a forward offers to a signal; the logits are computed only if it asks for them. */
export interface ScoredRows {
  readonly graph: Graph;
  readonly hidden_RD: Value;
  /** int32: the given token. */
  readonly labels_R: Value;
  /** Logits divided by the temperature, [R, V]. */
  readonly logits: () => Value;
}

type Shape = Pick<Signal, "kind" | "k" | "hiddenDtype">;

/** Stands for the log-probability of a class that is left out of a sum. */
const removed = -3e38;

const given = (scores_RV: Value, labels_R: Value): Value => op.squeeze(op.gatherElements(scores_RV, op.unsqueeze(labels_R, [1])), [1]);

function full({ logits, labels_R }: ScoredRows): Record<string, Value> {
  const logp_RV = op.logSoftmax(logits());
  return { logprobs: given(logp_RV, labels_R), full: logp_RV };
}

function sampled({ logits, labels_R }: ScoredRows): Record<string, Value> {
  const logits_RV = logits();
  return { logprobs: op.sub(given(logits_RV, labels_R), op.squeeze(op.reduceLogSumExp(logits_RV), [1])) };
}

function topK({ graph, logits, labels_R }: ScoredRows): Record<string, Value> {
  const logp_RV = op.logSoftmax(logits());
  const [top_RK, ids_RK] = op.topK(logp_RV, graph.input("k", "int64", [1]));
  return {
    logprobs: given(logp_RV, labels_R),
    top: top_RK,
    topIds: op.cast(ids_RK, "int32"),
    tail: tailOf(logp_RV, ids_RK, top_RK),
  };
}

function studentTopK({ graph, logits, labels_R }: ScoredRows): Record<string, Value> {
  const logp_RV = op.logSoftmax(logits());
  const ids_RK = graph.input("studentTopIds", "int32", ["R", "K"]);
  const top_RK = op.gatherElements(logp_RV, ids_RK);
  return { logprobs: given(logp_RV, labels_R), top: top_RK, tail: tailOf(logp_RV, ids_RK, top_RK) };
}

/**
 * Log of the mass outside the chosen classes, [R]; meaningless if there is none outside. As a logsumexp of its own:
 * 1 − Σ exp would cancel to nothing, and Σ exp could underflow.
 */
function tailOf(logp_RV: Value, ids_RK: Value, top_RK: Value): Value {
  const rest_RV = op.scatterElements(logp_RV, ids_RK, op.constantLike(top_RK, removed));
  const largest_R1 = op.reduceMax(rest_RV, [1], true);
  const mass_R1 = op.reduceSum(op.exp(op.sub(rest_RV, largest_R1)), [1], true);
  return op.squeeze(op.add(op.log(mass_R1), largest_R1), [1]);
}

/** k independent draws per row, one after the other, so that no array is larger than [R, V]. */
function randomK({ graph, logits, labels_R }: ScoredRows): Record<string, Value> {
  const logp_RV = op.logSoftmax(logits());
  const p_RV = op.exp(logp_RV);
  const draw = inverseCdf(p_RV);
  const uniforms = ["drawBlocks", "drawTokens"].map((name) => graph.input(name, "float32", ["K", "R", 1])) as [Value, Value];
  const body = new Graph("draws", graph);
  const iteration = body.input("draws.iteration", "int64", []);
  body.input("draws.condition", "bool", []);
  const [block_B1, token_B1] = uniforms.map((x) => op.gather(x, iteration)) as [Value, Value];
  const drawn_R1 = draw({ block_B1, token_B1 });
  body.output("draws.continue", body.constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) }));
  body.output("draws.token", op.cast(drawn_R1, "int32"));
  const count = op.squeeze(op.dimOf(uniforms[0], 0), [0]);
  const { scanned } = op.loop(graph, body, count, undefined, [], [{ dtype: "int32", shape: ["K", "R", 1] }]);
  return {
    logprobs: given(logp_RV, labels_R),
    draws: scanned[0]!,
    entropy: op.neg(op.reduceSum(op.mul(p_RV, logp_RV), [1])),
  };
}

const hidden = ({ hidden_RD }: ScoredRows, { hiddenDtype }: Shape): Record<string, Value> => ({
  hidden: op.cast(hidden_RD, hiddenDtype ?? "float16"),
});

/** What leaves the score graph for each kind of signal, by name. */
export const signalOutputs: { readonly [Kind in SignalKind]: (rows: ScoredRows, signal: Shape) => Readonly<Record<string, Value>> } = {
  full,
  hidden,
  random_k: randomK,
  sampled,
  student_top_k: studentTopK,
  top_k: topK,
};
