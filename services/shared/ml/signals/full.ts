// Dimensions: R rows (completion tokens), V vocabulary.

import * as op from "../graph/ops/index.js";
import { float32 } from "../graph/tensor.js";
import { cutRows, logprobsOf } from "./answer-rows.js";
import { checkLength, checkMass } from "./checks.js";
import { inputOf, perRow } from "./form.js";
import { largestIds } from "./largest.js";
import { floored, ofLabels } from "./logprobs.js";
import type { SignalDefinition, SignalLayout } from "./signal.js";

function layout({ rows, vocab, parts, room, sound }: SignalLayout) {
  const full_RV = room.take(rows * vocab);
  let filled = 0;
  for (const { score, member, row, count } of parts) {
    const own = checkLength(score.full, count * vocab, member, "full");
    if (!sound.has(member)) checkMass(own, count, undefined, member, "full");
    full_RV.set(own, row * vocab);
    filled = (row + count) * vocab;
  }
  return { "signal.full": float32(full_RV.fill(0, filled), [rows, vocab]) };
}

/** The whole distribution: C = V. */
export const full: SignalDefinition = {
  largestK: undefined,
  studentChooses: false,
  needsHead: false,
  bytesPerToken: (_, { vocab }) => 4 * vocab + 4,
  isSmall: false,
  outputs: ({ logits, labels_R }) => {
    const logp_RV = op.logSoftmax(logits());
    return { logprobs: ofLabels(logp_RV, labels_R), full: logp_RV };
  },
  answer: (rows) => ({ logprobs: logprobsOf(rows), full: cutRows(rows, "full", Float32Array, rows.vocab) }),
  form: {
    gives: "distribution",
    declare: (graph, rows, { vocab }) => perRow({ full: graph.input("signal.full", "float32", [rows, vocab]) }),
    classes: (signal, logits_RV) => ({ logp_RC: floored(inputOf(signal, "full")), logq_RC: op.logSoftmax(logits_RV) }),
    topIds: (_, logp_RC, k) => largestIds(logp_RC, k),
  },
  layout,
};
