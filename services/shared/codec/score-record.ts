import { RetortError } from "../base/errors.js";
import { toFloat32, toInt32, toUint16 } from "../flow/arrays.js";
import { type Array as ArrayRecord, ArrayType, type Sequence, type SequenceScore, type SignalSpec } from "../gen/retort/v1/flow_pb.js";
import type { HiddenDtype } from "../ml/signals/hidden-dtype.js";
import type { Score, Signal } from "../ml/signals/score.js";
import type { TrainSequence } from "../ml/training/batch.js";

/** A signal's record as scorer and trainer name it; absent fields have their defaults. */
export function signalOf(spec: SignalSpec | undefined): Signal {
  const { kind, k, temperature, hiddenDtype } = spec ?? { kind: "full", k: 0, temperature: 1, hiddenDtype: "" };
  const signal = { kind: kind as Signal["kind"], k, temperature };
  return kind === "hidden" ? { ...signal, hiddenDtype: (hiddenDtype || "float16") as HiddenDtype } : signal;
}

/**
 * A score record as the trainer takes it.
 *
 * @param headDigest `hidden`: names the weights that turn the states into logits
 * @throws DataLoss for NaN or +Infinity
 */
export function scoreOf(
  record: SequenceScore,
  signal: Signal,
  { studentTopIds }: Pick<Sequence, "studentTopIds">,
  headDigest: string,
): Score {
  const { logprobs, full, topLogprobs, tailLogprobs, counts, entropy, hidden } = record;
  const ids = signal.kind === "student_top_k" ? studentTopIds : record.ids;
  return {
    signal,
    ...(logprobs ? { logprobs: floats(logprobs, "logprobs") } : {}),
    ...(full ? { full: floats(full, "full") } : {}),
    ...(ids ? { ids: toInt32(ids, "ids") } : {}),
    ...(topLogprobs ? { topLogprobs: floats(topLogprobs, "topLogprobs") } : {}),
    ...(tailLogprobs ? { tail: floats(tailLogprobs, "tailLogprobs") } : {}),
    ...(counts ? { counts: toUint16(counts, "counts") } : {}),
    ...(entropy ? { entropy: floats(entropy, "entropy") } : {}),
    ...(hidden ? { hidden: states(hidden), headDigest } : {}),
  };
}

function floats(record: ArrayRecord, what: string): Float32Array {
  const data = toFloat32(record, what);
  const bad = data.findIndex((x) => Number.isNaN(x) || x === Number.POSITIVE_INFINITY);
  if (bad >= 0) throw new RetortError("DataLoss", `the teacher's ${what}[${bad}] is ${data[bad]}; look for overflow in the teacher`);
  return data;
}

const states = (record: ArrayRecord): Float32Array | Uint16Array =>
  record.type === ArrayType.FLOAT16 ? toUint16(record, "hidden", ArrayType.FLOAT16) : floats(record, "hidden");

/** A sequence with only the first `tokens` of its completion; 0 keeps all of them. */
export function firstTokens(sequence: TrainSequence, tokens: number): TrainSequence {
  const count = sequence.completionIds.length;
  if (tokens === 0 || tokens >= count) return sequence;
  const { completionIds, samplerLogprobs, score } = sequence;
  return {
    ...sequence,
    completionIds: completionIds.subarray(0, tokens),
    ...(samplerLogprobs ? { samplerLogprobs: samplerLogprobs.subarray(0, tokens) } : {}),
    ...(score ? { score: cutArrays(score, tokens, count) } : {}),
  };
}

/** Every array of a score holds as many elements for each token. */
function cutArrays(score: Score, tokens: number, count: number): Score {
  const entries = Object.entries(score).map(([name, value]) => {
    if (!ArrayBuffer.isView(value)) return [name, value] as const;
    const array = value as Float32Array;
    return [name, array.subarray(0, (array.length / count) * tokens)] as const;
  });
  return Object.fromEntries(entries) as unknown as Score;
}
