// How large a task's records become: what a phase asks for (flow) meets what a signal takes per token (ml).
import { RetortError } from "../base/errors.js";
import { needsScore, type Phase } from "../flow/runs/resolve.js";
import { type SignalKind, signals } from "../ml/signals/table.js";

/** What decides the size of a task's largest record, the teacher's score. */
export interface RecordSize {
  readonly vocabSize: number;
  /** Widest hidden state of the run's teachers; 0 if none is sent. */
  readonly hiddenSize: number;
  /** Longest completion, in tokens. */
  readonly maxTokens: number;
  /** Longest prompt that a teacher reads instead of the student's, in tokens; 0 if none does. */
  readonly teacherPromptTokens: number;
  /** Whether some teacher answers in tokens of its own. */
  readonly ownTokens?: boolean;
  /** Most tokens of an environment's answers to one sample; 0 where there is none. */
  readonly replyTokens: number;
  /** Largest message that the NATS server takes. */
  readonly maxPayloadBytes: number;
}

/** Bytes per token of a rollout: ids, log-probabilities and versions. */
export const rolloutBytesPerToken = 16;

/**
 * Bytes of an answer in a teacher's own tokens, per token of the student: its bytes and a length for each of the eight of its tokens that may
 * be one of the student's; of answers with classes, for each of two. A text that it cuts up smaller yet may be too large for a message,
 * which is a recorded outcome.
 */
const ownBytesPerToken = (inStudents: number, kind: SignalKind) => (kind === "sampled" ? 8 : 2) * (inStudents + 2);

/** Bytes of what a rollout carries beside its completion: ids of the teacher's own prompt, and an environment's answers, with their texts. */
export const besideBytes = ({ teacherPromptTokens, replyTokens }: Pick<RecordSize, "teacherPromptTokens" | "replyTokens">): number =>
  4 * teacherPromptTokens + 12 * replyTokens;

/** Bytes of a sequence's records of the longest completion: its rollout, and what the teacher says of it. */
export function sequenceBytes({ objective }: Pick<Phase, "objective">, size: Omit<RecordSize, "maxPayloadBytes">) {
  const { vocabSize, hiddenSize, maxTokens, ownTokens } = size;
  const { studentChooses, bytesPerToken } = signals[objective.signal];
  const inStudents = bytesPerToken(objective, { vocab: vocabSize, hidden: hiddenSize });
  const scorePerToken = needsScore(objective) ? Math.max(inStudents, ownTokens ? ownBytesPerToken(inStudents, objective.signal) : 0) : 0;
  // With the rollout's arrays travel the classes that the student chose.
  const rolloutPerToken = rolloutBytesPerToken + (studentChooses ? 4 * objective.k : 0);
  return { rollout: maxTokens * rolloutPerToken + besideBytes(size), score: maxTokens * scorePerToken, scorePerToken };
}

/** Share of a message that the arrays may take; the rest is for texts and framing. */
const payloadShare = 0.9;

/** Most prompts whose arrays of `perPromptBytes` each fit into a message. */
export const promptsPerMessage = (perPromptBytes: number, { maxPayloadBytes }: Pick<RecordSize, "maxPayloadBytes">): number =>
  Math.floor((payloadShare * maxPayloadBytes) / perPromptBytes);

/**
 * Most prompts of one task whose records fit into a message.
 *
 * @throws InvalidArgument if not even one prompt's do, with the way out
 */
export function taskCapacity(phase: Phase, size: RecordSize): number {
  const { samplesPerPrompt } = phase;
  const { maxTokens, maxPayloadBytes } = size;
  const { rollout, score, scorePerToken } = sequenceBytes(phase, size);
  const perPrompt = samplesPerPrompt * Math.max(score, rollout);
  const capacity = promptsPerMessage(perPrompt, size);
  if (capacity >= 1) return capacity;
  throw new RetortError(
    "InvalidArgument",
    `one prompt's teacher scores may take ${perPrompt} bytes (${samplesPerPrompt} samples × ${maxTokens} tokens × ${scorePerToken} bytes), more than NATS's max_payload of ${maxPayloadBytes}; use objective.signal: top_k, fewer samplesPerPrompt or a smaller sampling.maxNewTokens`,
    { fieldPath: "phases.objective.signal" },
  );
}
