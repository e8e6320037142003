import { found } from "../../base/found.js";
import { deriveSeed, uniform } from "../../base/random.js";
import type { TokenSelection } from "../losses/objective.js";

/** Number of each completion token, from which those with the largest count. */
export type TokenValues = readonly Float32Array[];

/** A sequence whose completion is chosen from: N token ids. */
interface Completed {
  readonly completionIds: Int32Array;
}

/** For each sequence, which of its completion tokens count: 1 or 0. */
export type CountedTokens = readonly Uint8Array[];

/** Whether a selection goes by what the student makes of the tokens. */
export const needsValues = ({ by }: TokenSelection): boolean => by === "entropy" || by === "divergence";

/**
 * The completion tokens that count in a step's loss: of each sequence its share, rounded up. Each sequence is chosen from by itself, so
 * that neither the batch nor its split into micro-batches changes the choice. Of equal values the earlier token counts.
 *
 * @param values of each sequence's tokens, for selections that need them
 */
export const countedTokens = (batch: readonly Completed[], selection: TokenSelection, values?: TokenValues): CountedTokens =>
  batch.map(({ completionIds }, i) => {
    const ranks = Float64Array.from(completionIds, rankOf(selection.by, completionIds, values?.[i]));
    const kept = Math.ceil(selection.share * completionIds.length);
    const order = Array.from(ranks.keys()).sort((a, b) => ranks[b]! - ranks[a]! || a - b);
    const counted = new Uint8Array(completionIds.length);
    for (const n of order.slice(0, kept)) counted[n] = 1;
    return counted;
  });

function rankOf(by: TokenSelection["by"], completionIds: Int32Array, values: Float32Array | undefined): (id: number, n: number) => number {
  if (by === "prefix") return (_, n) => -n;
  if (by === "suffix") return (_, n) => n;
  if (by === "random") {
    const seed = deriveSeed(0n, ...completionIds);
    return (_, n) => uniform(seed, n);
  }
  const own = found(values, `the ${by} of each token`);
  return (_, n) => own[n]!;
}
