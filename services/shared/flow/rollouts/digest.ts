import { createHash } from "node:crypto";
import type { Sequence } from "../../gen/retort/v1/flow_pb.js";

/** SHA-256 over the prompts, completion ids and replies of sequences and the classes that the student chose, hexadecimal: what a score belongs to. */
export function sequencesDigest(sequences: readonly Sequence[]): string {
  const hash = createHash("sha256");
  for (const { prompt, sample, promptIds, completionIds, studentTopIds, teacherPromptIds, replies } of sequences) {
    hash.update(`${prompt}/${sample}:`);
    if (promptIds) hash.update(promptIds.data);
    hash.update("|");
    if (completionIds) hash.update(completionIds.data);
    if (studentTopIds) hash.update("|").update(studentTopIds.data);
    if (teacherPromptIds) hash.update("|teacher:").update(teacherPromptIds.data);
    for (const { at, ids } of replies) hash.update(`|reply ${at}:`).update(ids?.data ?? new Uint8Array());
  }
  return hash.digest("hex");
}
