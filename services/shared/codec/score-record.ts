// The codec of scores: what a teacher says (ml) as a record that the learner reads (flow), and back. Which arrays there are is
// written here once for each direction; a signal that needs another one gets it in flow.proto, in ml's Answer, and here.
// Dimensions: N completion tokens.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../base/errors.js";
import { toFloat32, toHalfRecord, toInt32, toRecord, toUint16 } from "../flow/arrays.js";
import {
  type Array as ArrayRecord,
  ArrayType,
  type Sequence,
  type SequenceScore,
  type SequenceScoreSchema,
} from "../gen/retort/v1/flow_pb.js";
import type { Score, Signal } from "../ml/signals/score.js";
import type { Answer } from "../ml/signals/signal.js";
import { signals } from "../ml/signals/table.js";

/** Every field of a type, undefined where it is absent: one that is new must be written and read wherever this is asked for. */
export type Every<T> = { readonly [Name in keyof Required<T>]: T[Name] };

/** Whose tokens the arrays are over is known to those who made them into tokens. */
type RecordArrays = Every<Omit<SequenceScore, "$typeName" | "$unknown" | "byteLengths" | "failure">>;

/** The score of N tokens as a record. The classes that the student chose are not sent back: they came with the sequence. */
export function toScoreRecord(score: Score, tokens: number): MessageInitShape<typeof SequenceScoreSchema> {
  const { signal, logprobs, full, ids, topLogprobs, tail, counts, entropy, hidden } = score;
  const column = (array: Float32Array | undefined) => array && toRecord(array);
  const shape = (length: number) => [tokens, tokens ? length / tokens : 0];
  const rows = (array: Float32Array | Int32Array | Uint16Array | undefined) => array && toRecord(array, shape(array.length));
  const record: RecordArrays = {
    logprobs: column(logprobs),
    full: rows(full),
    ids: signals[signal.kind].studentChooses ? undefined : rows(ids),
    topLogprobs: rows(topLogprobs),
    tailLogprobs: column(tail),
    hidden: hidden instanceof Uint16Array ? toHalfRecord(hidden, shape(hidden.length)) : rows(hidden),
    counts: rows(counts),
    entropy: column(entropy),
  };
  return record;
}

/** What a score's record does not say itself. */
export interface ScoreContext {
  /** The signal that was asked for. */
  readonly signal: Signal;
  /** N. */
  readonly tokens: number;
  /** Names the weights that turn hidden states into logits; empty where there are none. */
  readonly headDigest: string;
  /** The sequence's: int32 [N, k], where the signal asks about the student's classes. */
  readonly studentTopIds?: Sequence["studentTopIds"];
}

/**
 * A score's record as the trainer takes it. An array that is missing is left out; that the kind needs it is seen where the
 * batch is laid out.
 *
 * @throws DataLoss naming an array of another type or shape, or one with NaN or +Infinity
 */
export function fromScoreRecord(record: SequenceScore, { signal, tokens, headDigest, studentTopIds }: ScoreContext): Score {
  const { logprobs, full, topLogprobs, tailLogprobs, counts, entropy, hidden } = record;
  const { studentChooses, needsHead } = signals[signal.kind];
  const column = (array: ArrayRecord | undefined, name: string) => array && floats(shaped(array, [tokens], name), name);
  const rows = (array: ArrayRecord, name: string) => shaped(array, [tokens, undefined], name);
  const ids = studentChooses ? studentTopIds : record.ids;
  const answer: Every<Answer> = {
    logprobs: column(logprobs, "logprobs"),
    full: full && floats(rows(full, "full"), "full"),
    ids: ids && toInt32(rows(ids, "ids"), "ids"),
    topLogprobs: topLogprobs && floats(rows(topLogprobs, "topLogprobs"), "topLogprobs"),
    tail: column(tailLogprobs, "tailLogprobs"),
    counts: counts && toUint16(rows(counts, "counts"), "counts"),
    entropy: column(entropy, "entropy"),
    hidden: hidden && states(rows(hidden, "hidden")),
  };
  return { signal, ...answer, ...(needsHead ? { headDigest } : {}) };
}

/** The array, if it has this shape; undefined stands for any size. */
function shaped(array: ArrayRecord, shape: readonly (number | undefined)[], name: string): ArrayRecord {
  const fits = array.shape.length === shape.length && shape.every((size, i) => size === undefined || size === array.shape[i]);
  if (fits) return array;
  const expected = shape.map((size) => size ?? "any").join(", ");
  throw new RetortError(
    "DataLoss",
    `the teacher's ${name} has the shape [${array.shape.join(", ")}]; expected [${expected}]: a row for each token`,
  );
}

function floats(array: ArrayRecord, name: string): Float32Array {
  const data = toFloat32(array, name);
  const bad = data.findIndex((x) => Number.isNaN(x) || x === Number.POSITIVE_INFINITY);
  if (bad >= 0) throw new RetortError("DataLoss", `the teacher's ${name}[${bad}] is ${data[bad]}; look for overflow in the teacher`);
  return data;
}

const states = (array: ArrayRecord): Float32Array | Uint16Array =>
  array.type === ArrayType.FLOAT16 ? toUint16(array, "hidden", ArrayType.FLOAT16) : floats(array, "hidden");
