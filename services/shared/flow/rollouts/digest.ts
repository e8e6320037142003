import { createHash } from "node:crypto";
import type { Sequence, SignalSpec } from "../../gen/retort/v1/flow_pb.js";

/**
 * SHA-256 over the prompts, completion ids and replies of sequences, the classes that the student chose, and where a teacher reads text in its own
 * tokens that text and how it ended, hexadecimal: what a score belongs to.
 *
 * @param signal that the rollout asks for; with the tokenizer `own` the teacher reads the text
 */
export function sequencesDigest(sequences: readonly Sequence[], signal?: Pick<SignalSpec, "tokenizer">): string {
  const hash = createHash("sha256");
  for (const sequence of sequences) {
    const { prompt, sample, promptIds, completionIds, studentTopIds, teacherPromptIds, replies } = sequence;
    hash.update(`${prompt}/${sample}:`);
    if (promptIds) hash.update(promptIds.data);
    hash.update("|");
    if (completionIds) hash.update(completionIds.data);
    if (studentTopIds) hash.update("|").update(studentTopIds.data);
    if (teacherPromptIds) hash.update("|teacher:").update(teacherPromptIds.data);
    for (const { at, ids } of replies) hash.update(`|reply ${at}:`).update(ids?.data ?? new Uint8Array());
    if (signal?.tokenizer !== "own") continue;
    const { completionText, finish, teacherEndId } = sequence;
    hash.update(`|text:${JSON.stringify([completionText, finish, teacherEndId ?? -1])}`);
  }
  return hash.digest("hex");
}
