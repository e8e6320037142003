import { RetortError } from "../../base/errors.js";

/** Rounding may lift a log-probability above 0 by this much. */
const logprobSlack = 1e-3;

/**
 * Refuses what is no log-probability: NaN, +Infinity, or above 0. -Infinity (probability 0) is one.
 *
 * @throws InvalidArgument naming the sequence, the array and the place
 */
export function checkLogprobs(logprobs: Float32Array, member: number, what: string): Float32Array {
  for (let i = 0; i < logprobs.length; i++)
    if (!(logprobs[i]! <= logprobSlack))
      throw new RetortError("InvalidArgument", `sequence ${member}: ${what}[${i}] is ${logprobs[i]}, which isn't a log-probability`);
  return logprobs;
}

/** Rounding in float32, over a large vocabulary and in a cache's float16 hidden states, moves a sum of probabilities by less. */
const massSlack = 1e-2;

/** Whether log-probabilities with this sum of probabilities, and this largest one, are a distribution; not if one of them is NaN. */
export const isDistribution = (mass: number, largest: number): boolean => Math.abs(mass - 1) <= massSlack && largest <= logprobSlack;

/** {@link quickMass} is off by less than this, as a share. */
const quickSlack = 4e-3;

/**
 * Refuses rows that are no distribution: [count, width] log-probabilities, with the logarithm of what is outside them.
 *
 * @throws InvalidArgument naming the sequence, the array, and the token and the sum, or the place of what is no log-probability
 */
export function checkMass(rows: Float32Array, count: number, tail: Float32Array | undefined, member: number, what: string): void {
  const width = rows.length / count;
  for (let n = 0; n < count; n++) {
    const [start, end] = [n * width, (n + 1) * width];
    const outside = tail ? Math.exp(tail[n]!) : 0;
    if (Math.abs(outside + quickMass(rows, start, end) - 1) <= massSlack - quickSlack) continue;
    checkLogprobs(rows, member, `score.${what}`);
    let mass = outside;
    for (let i = start; i < end; i++) mass += Math.exp(rows[i]!);
    if (!(Math.abs(mass - 1) <= massSlack))
      throw new RetortError(
        "InvalidArgument",
        `sequence ${member}: the probabilities of score.${what} at token ${n} sum to ${mass.toPrecision(6)}, not to 1; send log-softmax of the teacher's logits${tail ? ", and in tailLogprobs the log of what is left" : ""}`,
      );
  }
}

/** Powers of 2 from {@link leastPower} on. What lies below them adds up to nothing over any vocabulary. */
const leastPower = -64;
const powers = Float64Array.from({ length: 2 - leastPower }, (_, i) => 2 ** (i + leastPower));

/**
 * Σ exp(x) over part of an array of log-probabilities, off by less than {@link quickSlack}: 2ᶠ within an octave by a parabola. NaN
 * where something is no log-probability. Both in one pass: of a step these are as many numbers as there are logits.
 */
function quickMass(x: Float32Array, start: number, end: number): number {
  let mass = 0;
  for (let i = start; i < end; i++) {
    const logprob = x[i]!;
    if (!(logprob <= logprobSlack)) return Number.NaN;
    const octaves = logprob * Math.LOG2E - leastPower;
    if (octaves < 0) continue;
    // An integer instead of Math.floor: half the time.
    const whole = octaves | 0;
    const rest = octaves - whole;
    mass += powers[whole]! * (1 + rest * (0.6565 + 0.3435 * rest));
  }
  return mass;
}

/** Refuses an array of a score that is missing or of another length. @throws InvalidArgument naming the sequence and the array */
export function checkLength<T extends { length: number }>(array: T | undefined, expected: number, member: number, what: string): T {
  if (array?.length !== expected)
    throw new RetortError("InvalidArgument", `sequence ${member}: score.${what} has ${array?.length ?? 0} elements, expected ${expected}`);
  return array;
}

/**
 * Checks classes [N, k]: each inside the vocabulary, no two alike at one token (one that came twice would count twice).
 *
 * @throws InvalidArgument naming the place and the class
 */
export function checkClasses(ids: Int32Array, k: number, vocab: number, what: string): void {
  // The token, counted from 1, at which a class was seen last.
  const seen = new Int32Array(vocab);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    const token = Math.floor(i / k) + 1;
    if (id < 0 || id >= vocab) throw new RetortError("InvalidArgument", `${what}[${i}] is ${id}, outside the vocabulary of ${vocab}`);
    if (seen[id] === token) throw new RetortError("InvalidArgument", `${what}[${i}] is ${id}, which stands twice at token ${token - 1}`);
    seen[id] = token;
  }
}
