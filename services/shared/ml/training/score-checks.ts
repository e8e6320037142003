import { RetortError } from "../../base/errors.js";
import type { Objective } from "../losses/objective.js";
import { hasK, type Score } from "../scoring/score.js";

/** Rounding may lift a log-probability above 0 by this much. */
const logprobSlack = 1e-3;

/** Refuses what is no log-probability: NaN, +Infinity, or above 0. -Infinity (probability 0) is one. */
export function checkLogprobs(logprobs: Float32Array, member: number, what: string): Float32Array {
  for (let i = 0; i < logprobs.length; i++)
    if (!(logprobs[i]! <= logprobSlack))
      throw new RetortError("InvalidArgument", `sequence ${member}: ${what}[${i}] is ${logprobs[i]}, which is no log-probability`);
  return logprobs;
}

/** Refuses an array of a score that is missing or of another length. */
export function checkLength<T extends { length: number }>(array: T | undefined, expected: number, member: number, what: string): T {
  if (array?.length !== expected)
    throw new RetortError("InvalidArgument", `sequence ${member}: score.${what} has ${array?.length ?? 0} elements, expected ${expected}`);
  return array;
}

/**
 * Refuses a score that was made with another signal than the objective needs.
 *
 * @throws InvalidArgument naming the sequence, the field, what was asked for and what was given
 */
export function checkSignal({ signal: given }: Score, objective: Objective, member: number): void {
  const refuse = (field: string, found: unknown, needed: unknown) => {
    throw new RetortError("InvalidArgument", `sequence ${member}: the score's ${field} is ${found}, the objective needs ${needed}`);
  };
  if (given.kind !== objective.signal) refuse("signal", given.kind, objective.signal);
  if (hasK(given.kind) && given.k !== objective.k) refuse("k", given.k, objective.k);
  if (given.temperature !== objective.teacherTemperature) refuse("temperature", given.temperature, objective.teacherTemperature);
  const dtype = given.hiddenDtype ?? "float16";
  if (given.kind === "hidden" && dtype !== objective.hiddenDtype) refuse("hiddenDtype", dtype, objective.hiddenDtype);
}
