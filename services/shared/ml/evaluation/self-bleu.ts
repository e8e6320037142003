import { selfBleu } from "../text/metrics/bleu.js";
import type { BleuUnit } from "../text/metrics/bleu-tokens.js";

export type { BleuUnit };

/** Most texts compared with each other: the cost is quadratic. */
const mostTexts = 256;

/**
 * Self-BLEU of samples, in [0, 1]; 1 where the model always writes the same (Zhu et al. 2018, as Agarwal et al. 2024 measure
 * diversity). Where prompts have several samples each: over the samples of a prompt, averaged over the prompts. Where each
 * has one: over all of them, at most the first 256. undefined for fewer than two texts.
 *
 * @param groups the samples of each prompt
 */
export function selfBleuOf(groups: readonly (readonly string[])[], unit: BleuUnit): number | undefined {
  const several = groups.filter((group) => group.length > 1);
  if (several.length) return several.reduce((sum, group) => sum + selfBleu(group.slice(0, mostTexts), unit), 0) / several.length;
  const all = groups.flat().slice(0, mostTexts);
  return all.length < 2 ? undefined : selfBleu(all, unit);
}
