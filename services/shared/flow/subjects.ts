import { RetortError } from "../base/errors.js";
import { Purpose, type TaskKey } from "../gen/retort/v1/flow_pb.js";

/** Letter before the number in a subject's step token, by purpose. */
const letters = { [Purpose.TRAIN]: "", [Purpose.EVALUATE]: "e", [Purpose.DATASET]: "d" } as const;

/** `17` for step 17, `e17` for the evaluation of version 17, `d0` for the writing of the dataset, `d1` for what teachers answer themselves. */
export function stepToken({ purpose, step }: Pick<TaskKey, "purpose" | "step">): string {
  if (purpose === Purpose.UNSPECIFIED) throw new RetortError("InvalidArgument", "a task key needs a purpose");
  return `${letters[purpose]}${step}`;
}

/** Whose the results are: the learner's that issued the task, by its fence; or any learner's, for texts that are written once. */
const ownerToken = ({ purpose, attempt }: Pick<TaskKey, "purpose" | "attempt">): string =>
  purpose === Purpose.DATASET ? "kept" : String(attempt);

/** The three kinds of result that a task may have. */
export type ResultKind = "rollout" | "score" | "reward";

/** Who writes a task's completions: the student, or a teacher by name. */
export const samplerToken = (sampler: string): string => (sampler === "" ? "student" : `teacher-${sampler}`);

/** Every subject of the flow. */
export const subjects = {
  prompt: (key: TaskKey, sampler: string): string => `retort.prompts.${key.runId}.${samplerToken(sampler)}.${stepToken(key)}.${key.task}`,
  prompts: (runId: string, sampler: string): string => `retort.prompts.${runId}.${samplerToken(sampler)}.>`,
  rollout: (key: TaskKey, teacher: string): string => `retort.rollouts.${key.runId}.${teacher || "none"}.${stepToken(key)}.${key.task}`,
  rollouts: (runId: string, teacher?: string): string => `retort.rollouts.${runId}.${teacher ?? "*"}.>`,
  result: (key: TaskKey, kind: ResultKind): string =>
    `retort.results.${key.runId}.${ownerToken(key)}.${stepToken(key)}.${key.task}.${kind}`,
  results: (runId: string, step?: Pick<TaskKey, "purpose" | "step" | "attempt">): string =>
    `retort.results.${runId}.${step ? `${ownerToken(step)}.${stepToken(step)}.>` : ">"}`,
  /** All results of what a learner issued. */
  resultsOf: (runId: string, fence: number): string => `retort.results.${runId}.${fence}.>`,
  account: (runId: string, fence: bigint, step: number): string => `retort.ledger.${runId}.${fence}.${step}`,
  accounts: (runId: string): string => `retort.ledger.${runId}.>`,
  event: (runId: string, kind: string): string => `retort.events.${runId}.${kind}`,
  events: (runId: string): string => `retort.events.${runId}.>`,
} as const;

/** What a result's subject says: `retort.results.<run>.<owner>.<step>.<task>.<kind>`. */
export interface ResultSubject {
  /** The learner's fence; undefined for texts that are kept for every learner. */
  readonly fence: number | undefined;
  readonly step: string;
  readonly task: number;
  readonly kind: ResultKind;
}

/** Reads a result's subject; undefined if it is none. */
export function parseResult(subject: string): ResultSubject | undefined {
  const [, owner, step, task, kind] = /^retort\.results\.[^.]+\.(kept|\d+)\.([ed]?\d+)\.(\d+)\.(rollout|score|reward)$/.exec(subject) ?? [];
  if (!step) return undefined;
  return { fence: owner === "kept" ? undefined : Number(owner), step, task: Number(task), kind: kind as ResultKind };
}

/** Id under which a task's record is published: the same work has the same id. */
export const messageId = (key: TaskKey, what: string): string => `${key.runId}/${stepToken(key)}/${key.task}/${key.attempt}/${what}`;
