import type { MessageInitShape } from "@bufbuild/protobuf";
import { toHalfRecord, toRecord } from "../shared/flow/arrays.js";
import type { SequenceScoreSchema, SignalSpec } from "../shared/gen/retort/v1/flow_pb.js";
import type { HiddenDtype } from "../shared/ml/signals/hidden-dtype.js";
import type { Score, Signal } from "../shared/ml/signals/score.js";
import { signalKindOf } from "../shared/ml/signals/table.js";

/** The signal that a record asks for. @throws Unimplemented naming a kind that this teacher cannot give */
export function signalOf(spec: SignalSpec | undefined): Signal {
  const { kind = "", k = 0, temperature = 1, hiddenDtype = "" } = spec ?? {};
  const signal = { kind: signalKindOf(kind), k, temperature };
  return kind === "hidden" ? { ...signal, hiddenDtype: (hiddenDtype || "float16") as HiddenDtype } : signal;
}

/** The score of N tokens as a record. The classes of student_top_k are not sent back: they came with the sequence. */
export function scoreRecord(score: Score, tokens: number): MessageInitShape<typeof SequenceScoreSchema> {
  const { signal, logprobs, full, ids, topLogprobs, tail, counts, entropy, hidden } = score;
  const wide = <T extends { readonly length: number }>(array: T) => [tokens, array.length / tokens];
  return {
    ...(logprobs ? { logprobs: toRecord(logprobs) } : {}),
    ...(full ? { full: toRecord(full, wide(full)) } : {}),
    ...(ids && signal.kind !== "student_top_k" ? { ids: toRecord(ids, wide(ids)) } : {}),
    ...(topLogprobs ? { topLogprobs: toRecord(topLogprobs, wide(topLogprobs)) } : {}),
    ...(tail ? { tailLogprobs: toRecord(tail) } : {}),
    ...(counts ? { counts: toRecord(counts, wide(counts)) } : {}),
    ...(entropy ? { entropy: toRecord(entropy) } : {}),
    ...(hidden ? { hidden: hidden instanceof Uint16Array ? toHalfRecord(hidden, wide(hidden)) : toRecord(hidden, wide(hidden)) } : {}),
  };
}
