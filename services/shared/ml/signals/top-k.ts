// Dimensions: R rows (completion tokens), V vocabulary, K top classes.
import * as op from "../graph/ops/index.js";
import { int64 } from "../graph/tensor.js";
import { cutRows } from "./answer-rows.js";
import { ofLabels } from "./logprobs.js";
import type { SignalDefinition } from "./signal.js";
import { tailOf, topAnswer, topForm, topLayout, topRanks } from "./top-classes.js";

/** The k classes that the teacher finds most probable, and the mass of the rest. k is an input of the teacher's graph. */
export const topK: SignalDefinition = {
  largestK: (vocab) => vocab,
  studentChooses: false,
  needsHead: false,
  bytesPerToken: ({ k }) => 8 * k + 8,
  outputs: ({ graph, logits, labels_R }) => {
    const logp_RV = op.logSoftmax(logits());
    const [top_RK, ids_RK] = op.topK(logp_RV, graph.input("k", "int64", [1]));
    return {
      logprobs: ofLabels(logp_RV, labels_R),
      top: top_RK,
      topIds: op.cast(ids_RK, "int32"),
      tail: tailOf(logp_RV, ids_RK, top_RK),
    };
  },
  feeds: (_, k) => ({ k: int64([k]) }),
  answer: (rows) => ({ ...topAnswer(rows), ids: cutRows(rows, "topIds", Int32Array, rows.k) }),
  form: { ...topForm, ranks: topRanks },
  layout: topLayout,
};
