// Dimensions: R rows (completion tokens), V vocabulary, K top classes.
import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import * as op from "../graph/ops/index.js";
import { int32 } from "../graph/tensor.js";
import { checkClasses } from "./checks.js";
import { ofLabels } from "./logprobs.js";
import type { ScoreInput, SignalDefinition } from "./signal.js";
import { tailOf, topAnswer, topForm, topLayout } from "./top-classes.js";

function check({ completionIds, studentTopIds }: ScoreInput, k: number, vocab: number, index: number): void {
  if (studentTopIds?.length !== completionIds.length * k)
    throw new RetortError(
      "InvalidArgument",
      `sequence ${index}: studentTopIds has ${counted(studentTopIds?.length ?? 0, "element")}; student_top_k needs ${k} for each of the ${counted(completionIds.length, "token")}`,
    );
  checkClasses(studentTopIds, k, vocab, `sequence ${index}: studentTopIds`);
}

/** The classes of all sequences, [R, k], one after the other. */
function chosenOf(inputs: readonly ScoreInput[], k: number) {
  const rows = inputs.reduce((sum, { completionIds }) => sum + completionIds.length, 0);
  const chosen = new Int32Array(rows * k);
  let at = 0;
  for (const { studentTopIds = new Int32Array() } of inputs) {
    chosen.set(studentTopIds, at);
    at += studentTopIds.length;
  }
  return { studentTopIds: int32(chosen, [rows, k]) };
}

/** k classes that the student chose while it sampled, and the mass of the rest. The classes come with the sequence. */
export const studentTopK: SignalDefinition = {
  largestK: (vocab) => vocab,
  studentChooses: true,
  needsHead: false,
  bytesPerToken: ({ k }) => 4 * k + 8,
  isSmall: true,
  outputs: ({ perRow, logits, labels_R }) => {
    const logp_RV = op.logSoftmax(logits());
    const ids_RK = perRow("studentTopIds", "int32", ["R", "K"]);
    const top_RK = op.gatherElements(logp_RV, ids_RK);
    return { logprobs: ofLabels(logp_RV, labels_R), top: top_RK, tail: tailOf(logp_RV, ids_RK) };
  },
  check,
  feeds: chosenOf,
  answer: (rows) => ({ ...topAnswer(rows), ids: rows.studentTopIds }),
  form: topForm,
  layout: topLayout,
};
