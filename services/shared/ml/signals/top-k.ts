// Dimensions: R rows (completion tokens), V vocabulary, K top classes.
import * as op from "../graph/ops/index.js";
import { cutRows } from "./answer-rows.js";
import { ofLabels } from "./logprobs.js";
import type { SignalDefinition } from "./signal.js";
import { tailOf, topAnswer, topForm, topLayout, topRanks } from "./top-classes.js";

/** The k classes that the teacher finds most probable, and the mass of the rest. The teacher's graph has an input that is as long as k. */
export const topK: SignalDefinition = {
  largestK: (vocab) => vocab,
  studentChooses: false,
  needsHead: false,
  bytesPerToken: ({ k }) => 8 * k + 8,
  isSmall: true,
  outputs: ({ input, logits, labels_R }) => {
    const logp_RV = op.logSoftmax(logits());
    // A size of a shape is on the host, where TopK reads it; what is fed may be on a device, for the body of a loop.
    const k = op.dimOf(input("classes", "uint8", ["K"]), 0);
    const [top_RK, ids_RK] = op.topK(logp_RV, k);
    return {
      logprobs: ofLabels(logp_RV, labels_R),
      top: top_RK,
      topIds: op.cast(ids_RK, "int32"),
      tail: tailOf(logp_RV, ids_RK),
    };
  },
  feeds: (_, k) => ({ classes: { dtype: "uint8", dims: [k], data: new Uint8Array(k) } }),
  answer: (rows) => ({ ...topAnswer(rows), ids: cutRows(rows, "topIds", Int32Array, rows.k) }),
  form: { ...topForm, ranks: topRanks },
  layout: topLayout,
};
