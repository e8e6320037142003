import * as op from "../graph/ops/index.js";
import { logprobsOf } from "./answer-rows.js";
import { perRow } from "./form.js";
import { ofLabels } from "./logprobs.js";
import type { SignalDefinition } from "./signal.js";

/** The given token's log-probability, and nothing else. */
export const sampled: SignalDefinition = {
  largestK: undefined,
  studentChooses: false,
  needsHead: false,
  bytesPerToken: () => 4,
  isSmall: true,
  outputs: ({ logits, labels_R }) => {
    const logits_RV = logits();
    return { logprobs: op.sub(ofLabels(logits_RV, labels_R), op.squeeze(op.reduceLogSumExp(logits_RV), [1])) };
  },
  answer: (rows) => ({ logprobs: logprobsOf(rows) }),
  form: { gives: "token", declare: () => perRow({}) },
  layout: () => ({}),
};
