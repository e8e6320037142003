// Dimensions: N completion tokens of a sequence, K classes.
import { RetortError } from "../../../shared/base/errors.js";
import type { Score, Signal } from "../../../shared/ml/signals/score.js";
import type { Asked, Told } from "./dialect.js";

/** Rounding may lift a log-probability above 0, and a sum of probabilities above 1, by this much. */
const slack = 1e-3;

/** The rest of float32 log-probabilities' sum is known no better than this: less than it counts as it. */
const leastTail = 1e-6;

/**
 * What a server told of one text, as the score that was asked for: `logprobs` [N], and for top_k `ids` and `topLogprobs` [N, K] in
 * falling order and `tail` [N], log(1 − Σ exp topLogprobs), at least what the given token has if it is none of the classes.
 *
 * @param rows of the vocabulary
 * @throws OutOfRange for fewer classes than were asked for; DataLoss for another token than was sent, and for what is no
 *   distribution: classes that are strange or too probable together
 */
export function scoreOf(told: readonly Told[], { ids: sent, from }: Asked, signal: Signal, rows: number): Score {
  const count = told.length;
  const logprobs = new Float32Array(count);
  for (const [n, { id, logprob }] of told.entries()) {
    if (id !== undefined && id !== sent[from + n]) fail(n, `is of token ${id}, and ${sent[from + n]} was sent: the server has changed it`);
    if (!(logprob <= slack))
      fail(n, `is ${logprob}, which isn't a log-probability; start the server so that it gives log-softmax of the logits`);
    logprobs[n] = Math.min(logprob, 0);
  }
  if (signal.kind !== "top_k") return { signal, logprobs };
  const { k } = signal;
  const [ids, topLogprobs, tail] = [new Int32Array(count * k), new Float32Array(count * k), new Float32Array(count)];
  for (const [n, { top }] of told.entries()) {
    const classes = [...(top ?? [])].sort(([, a], [, b]) => b - a).slice(0, k);
    if (classes.length < k)
      throw new RetortError("OutOfRange", `the server gave ${classes.length} classes at completion token ${n}, and ${k} were asked for`);
    const stray = classes.find(([id]) => !(id >= 0 && id < rows));
    if (stray) fail(n, `comes with class ${stray[0]}, and the vocabulary has ${rows} rows`);
    if (new Set(classes.map(([id]) => id)).size < k) fail(n, "comes with a class twice");
    ids.set(
      classes.map(([id]) => id),
      n * k,
    );
    topLogprobs.set(
      classes.map(([, value]) => Math.min(value, 0)),
      n * k,
    );
    tail[n] = tailOf(n, classes, told[n]?.logprob ?? 0, sent[from + n], k === rows);
  }
  return { signal, logprobs, ids, topLogprobs, tail };
}

/** Log of the mass outside some classes. @param all whether there is nothing outside */
function tailOf(
  n: number,
  classes: readonly (readonly [number, number])[],
  logprob: number,
  sent: number | undefined,
  all: boolean,
): number {
  const mass = classes.reduce((sum, [, value]) => sum + Math.exp(value), 0);
  if (!(mass <= 1 + slack)) fail(n, `comes with probabilities that sum to ${mass.toPrecision(6)}, which is no distribution`);
  if (all) return Number.NEGATIVE_INFINITY;
  const isOutside = !classes.some(([id]) => id === sent);
  return Math.log(Math.max(1 - mass, isOutside ? Math.exp(logprob) : 0, leastTail));
}

function fail(n: number, what: string): never {
  throw new RetortError("DataLoss", `the server's log-probability of completion token ${n} ${what}`);
}
