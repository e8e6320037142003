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
  outputs: ({ logits, labels_R }) => ({ logprobs: ofLabels(op.logSoftmax(logits()), labels_R) }),
  answer: (rows) => ({ logprobs: logprobsOf(rows) }),
  form: { gives: "token", declare: () => perRow({}) },
  layout: () => ({}),
};
