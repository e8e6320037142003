import { RetortError } from "../../base/errors.js";
import { defaultHiddenDtype } from "./hidden-dtype.js";
import type { Answer, SignalSettings } from "./signal.js";
import { type SignalKind, signals } from "./table.js";

/** What is asked of a teacher. */
export interface Signal extends SignalSettings {
  readonly kind: SignalKind;
}

/** A teacher's {@link Answer}, with what it was asked. */
export interface Score extends Answer {
  readonly signal: Signal;
  /** Kinds that need the teacher's head: names its weights; see `headDigest` of models/head.ts. */
  readonly headDigest?: string;
}

/**
 * Refuses a score that was made with another signal than the objective needs.
 *
 * @param member position of the sequence in the step's batch
 * @throws InvalidArgument naming the sequence, the field, what was asked for and what was given
 */
export function checkSignal({ signal: given }: Score, asked: Signal, member: number): void {
  const refuse = (field: string, found: unknown, needed: unknown) => {
    throw new RetortError("InvalidArgument", `sequence ${member}: the score's ${field} is ${found}, the objective needs ${needed}`);
  };
  if (given.kind !== asked.kind) refuse("signal", given.kind, asked.kind);
  const { largestK, needsHead } = signals[given.kind];
  if (largestK && given.k !== asked.k) refuse("k", given.k, asked.k);
  if (given.temperature !== asked.temperature) refuse("temperature", given.temperature, asked.temperature);
  const [dtype, needed] = [given, asked].map(({ hiddenDtype = defaultHiddenDtype }) => hiddenDtype);
  if (needsHead && dtype !== needed) refuse("hiddenDtype", dtype, needed);
}

/** What the arrays of scores lie in. */
export const buffersOf = (scores: readonly Score[]): ArrayBufferLike[] => [
  ...new Set(scores.flatMap((score) => Object.values(score).flatMap((field) => (ArrayBuffer.isView(field) ? [field.buffer] : [])))),
];

/** The same without those of the tokens' own log-probabilities: all that is large. */
export function largeBuffersOf(scores: readonly Score[]): ArrayBufferLike[] {
  const own = new Set(scores.map(({ logprobs }) => logprobs?.buffer));
  return buffersOf(scores).filter((buffer) => !own.has(buffer));
}
