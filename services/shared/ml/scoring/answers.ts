import { RetortError } from "../../base/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { countDraws } from "../signals/draws.js";
import type { Score, Signal, SignalKind } from "../signals/score.js";

/** The rows of one sequence in the outputs of a forward. */
export interface AnswerRows {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly signal: Signal;
  readonly vocab: number;
  readonly studentTopIds: Int32Array | undefined;
}

type Answer = Omit<Score, "signal">;

function part<T extends Float32Array | Int32Array | Uint16Array>({ outputs, from, to }: AnswerRows, name: string, width = 1): T {
  return outputs[name]!.data.slice(from * width, to * width) as T;
}

const logprobsOf = (rows: AnswerRows) => part<Float32Array>(rows, "logprobs");

function top(rows: AnswerRows): Pick<Score, "logprobs" | "topLogprobs" | "tail"> {
  const { from, to, signal, vocab } = rows;
  const tail = signal.k === vocab ? new Float32Array(to - from).fill(Number.NEGATIVE_INFINITY) : part<Float32Array>(rows, "tail");
  return { logprobs: logprobsOf(rows), topLogprobs: part<Float32Array>(rows, "top", signal.k), tail };
}

function hidden(rows: AnswerRows): Answer {
  const { data, dims } = rows.outputs.hidden!;
  const states = part<Float32Array | Uint16Array>(rows, "hidden", dims[1]!);
  // In float16 all bits of the exponent are set in infinities and NaN.
  if (data instanceof Uint16Array && states.some((bits) => (bits & 0x7c00) === 0x7c00))
    throw new RetortError("OutOfRange", "a hidden state is beyond what float16 can hold; ask for signal.hiddenDtype float32");
  return { hidden: states };
}

/** One sequence's share of the outputs of the score graph, by the signal's kind. */
export const answers: { readonly [Kind in SignalKind]: (rows: AnswerRows) => Answer } = {
  full: (rows) => ({ logprobs: logprobsOf(rows), full: part(rows, "full", rows.vocab) }),
  hidden,
  random_k: (rows) => ({
    logprobs: logprobsOf(rows),
    entropy: part(rows, "entropy"),
    ...countDraws(rows.outputs.draws!.data as Int32Array, rows.rows, rows.from, rows.to),
  }),
  sampled: (rows) => ({ logprobs: logprobsOf(rows) }),
  student_top_k: (rows) => ({ ...top(rows), ids: rows.studentTopIds! }),
  top_k: (rows) => ({ ...top(rows), ids: part(rows, "topIds", rows.signal.k) }),
};
