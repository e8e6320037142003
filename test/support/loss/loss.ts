import { gradientsOf } from "../../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../../services/shared/ml/graph/graph.js";
import { float32, int32, type Tensor } from "../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../services/shared/ml/losses/objective.js";
import { declareRows, type RowForm, rowLosses } from "../../../services/shared/ml/losses/row-losses.js";
import { Session } from "../../../services/shared/ml/runtime/session.js";
import type { HeadShape } from "../../../services/shared/ml/signals/form.js";

/** Everything that one evaluation of a loss reads. Log-probabilities may be -Infinity. */
export interface LossCase {
  readonly rows: number;
  readonly vocab: number;
  readonly logits: readonly number[];
  readonly labels: readonly number[];
  readonly weights: readonly number[];
  readonly advantages?: readonly number[];
  readonly samplerLogprobs?: readonly number[];
  readonly sampled?: readonly number[];
  readonly teacherLogprobs?: readonly number[];
  /** `opd` across tokenizers: what each row answers for, and what is reported of it. */
  readonly gaps?: readonly number[];
  readonly gapShares?: readonly number[];
  readonly signal: {
    readonly full?: readonly number[];
    readonly ids?: readonly number[];
    readonly top?: readonly number[];
    readonly tail?: readonly number[];
    readonly counts?: readonly number[];
    readonly entropy?: readonly number[];
    /** [rows, E] and [vocab, E]. */
    readonly hidden?: readonly number[];
    readonly head?: readonly number[];
    /** Those of an ensemble, instead: [vocab, E_m] each. */
    readonly heads?: readonly (readonly number[])[];
  };
}

/** What a loss comes to: the whole, each row, and the gradient by the logits. */
export interface LossResult {
  readonly loss: number;
  readonly rows: Float32Array;
  readonly logprobs: Float32Array;
  readonly entropy: Float32Array;
  readonly gradient: Float32Array;
}

/** An objective with every field set: forward KL on the whole distribution. */
export const plainObjective: Objective = {
  divergence: "forward_kl",
  beta: 0.5,
  skew: 0.1,
  weight: 0.5,
  headMass: 0.5,
  entropyThreshold: 0.8,
  forwardWeight: 1,
  normalizeJsd: false,
  signal: "full",
  k: 3,
  hiddenDtype: "float32",
  alpha: 1,
  studentTemperature: 1,
  teacherTemperature: 1,
  temperatureSquared: false,
  klCoef: 1,
  klBaseline: false,
  lowProbability: 0.5,
  ratioClip: 5,
  normalisation: "sequence",
  balance: "none",
};

/** A loss that is compiled once and evaluated at many inputs. */
export interface LossProgram {
  /** Value and gradient (in the student's logits). */
  run(input: LossCase): Promise<LossResult>;
  release(): Promise<void>;
}

/** Compiles a loss: the graph that training uses. */
export async function compileLoss(objective: Partial<Objective>, vocab: number, form: RowForm = {}): Promise<LossProgram> {
  const full = { ...plainObjective, ...objective };
  const graph = new Graph("loss");
  const logits = graph.input("logits", "float32", ["R", vocab]);
  const result = rowLosses(full, logits, declareRows(graph, full, "R", vocab, form));
  const { distance, logprobs, entropy } = result.reports;
  const [gradient] = gradientsOf(result.loss, [logits]);
  const outputs = { loss: result.loss, rows: distance!, logprobs: logprobs!, entropy: entropy! };
  for (const [name, value] of Object.entries({ ...outputs, gradient: gradient! })) graph.output(`out.${name}`, value);
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  const run = async (input: LossCase): Promise<LossResult> => {
    const feeds = feedsOf(input);
    const values = await session.run(Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name]!])));
    const data = (name: keyof LossResult) => values[`out.${name}`]!.data as Float32Array;
    return { loss: data("loss")[0]!, rows: data("rows"), logprobs: data("logprobs"), entropy: data("entropy"), gradient: data("gradient") };
  };
  return { run, release: () => session.release() };
}

function feedsOf(input: LossCase): Record<string, Tensor | undefined> {
  const { rows: count, vocab } = input;
  const zeros = new Array<number>(count).fill(0);
  const floats = (data: readonly number[] = zeros) => float32(data, [count]);
  const { full: whole, ids, top, tail, counts, entropy, hidden, head, heads = [] } = input.signal;
  return {
    logits: float32(input.logits, [count, vocab]),
    labels: int32(input.labels, [count]),
    weights: floats(input.weights),
    samplerLogprobs: floats(input.samplerLogprobs),
    sampled: floats(input.sampled),
    advantages: floats(input.advantages),
    teacherLogprobs: floats(input.teacherLogprobs),
    gaps: floats(input.gaps),
    gapShares: floats(input.gapShares),
    "signal.full": whole && float32(whole, [count, vocab]),
    "signal.ids": ids && int32(ids, [count, ids.length / count]),
    "signal.top": top && float32(top, [count, top.length / count]),
    "signal.tail": tail && float32(tail, [count]),
    "signal.counts": counts && float32(counts, [count, counts.length / count]),
    "signal.entropy": entropy && float32(entropy, [count]),
    "signal.hidden": hidden && float32(hidden, [count, hidden.length / count]),
    "signal.head": head && float32(head, [vocab, head.length / vocab]),
    ...Object.fromEntries(heads.map((own, m) => [`signal.head${m || ""}`, float32(own, [vocab, own.length / vocab])])),
  };
}

/** Value and gradient (in the student's logits) of a loss at one input. */
export async function lossOf(objective: Partial<Objective>, input: LossCase, heads?: readonly HeadShape[]): Promise<LossResult> {
  const program = await compileLoss(objective, input.vocab, { heads, gaps: input.gaps !== undefined });
  try {
    return await program.run(input);
  } finally {
    await program.release();
  }
}
