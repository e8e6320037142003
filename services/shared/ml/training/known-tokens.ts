import { comparesDistributions, type Objective } from "../losses/objective.js";
import type { TrainSequence } from "./batch.js";
import type { CountedTokens } from "./select-tokens.js";

/** The tokens of a batch of which teachers with other tokens say something, for a divergence between distributions; undefined: all of them. */
export function knownTokens(
  batch: readonly Pick<TrainSequence, "completionIds" | "known">[],
  objective: Objective,
): CountedTokens | undefined {
  if (!comparesDistributions(objective) || !batch.some(({ known }) => known)) return undefined;
  return batch.map(({ completionIds, known }) => known ?? new Uint8Array(completionIds.length).fill(1));
}
