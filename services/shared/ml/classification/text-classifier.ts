import type { Tensor } from "../graph/tensor.js";
import { batchesWithin } from "../runtime/batches.js";
import type { SessionOptions } from "../runtime/session.js";
import type { EncodedText, Tokenizer } from "../text/tokenizer.js";

/** A text to classify, or a pair such as premise and hypothesis. */
export interface ClassifierInput {
  readonly text: string;
  readonly pair?: string;
}

/** What tells texts apart. */
export interface TextClassifier {
  /** Name of each class, in the order of the logits; of a regression one. */
  readonly labels: readonly string[];
  /** True if a text may belong to several classes: each logit then has a probability of its own. */
  readonly multiLabel: boolean;
  readonly tokenizer: Tokenizer;
  /** Why a text cannot be classified; undefined if it can. */
  obstacle(text: EncodedText): string | undefined;
  /** Logits [C] of each tokenised text, none of which has an obstacle. */
  logits(texts: readonly EncodedText[]): Promise<Float32Array[]>;
  release(): Promise<void>;
}

/** True if a model's config.json says that a text may belong to several classes. */
export const isMultiLabel = (rawConfig: Readonly<Record<string, unknown>>): boolean =>
  rawConfig.problem_type === "multi_label_classification";

/** Why a text does not fit a model; undefined if it does. */
export const lengthObstacle = ({ ids }: EncodedText, positions: number): string | undefined =>
  ids.length > positions ? `the text has ${ids.length} tokens, and the classifier takes ${positions}` : undefined;

/** How a classifier computes. */
export interface ClassifierOptions extends SessionOptions {
  /** Most tokens of one forward, padding included. */
  readonly batchTokens: number;
}

/**
 * Runs texts through a forward that gives [B, C], batch by batch.
 *
 * @param padded false if only texts of one length may share a batch
 */
export async function inBatches(
  texts: readonly EncodedText[],
  batchTokens: number,
  forward: (texts: readonly EncodedText[]) => Promise<Tensor>,
  padded = true,
): Promise<Float32Array[]> {
  const lengths = texts.map(({ ids }) => ids.length);
  const logits = new Array<Float32Array>(texts.length);
  for (const members of batchesWithin(lengths, batchTokens).flatMap((batch) => (padded ? [batch] : byLength(batch, lengths)))) {
    const { data, dims } = await forward(members.map((i) => texts[i]!));
    const classes = dims[1]!;
    members.forEach((member, b) => {
      logits[member] = (data as Float32Array).slice(b * classes, (b + 1) * classes);
    });
  }
  return logits;
}

function byLength(members: readonly number[], lengths: readonly number[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const i of members) groups.set(lengths[i]!, [...(groups.get(lengths[i]!) ?? []), i]);
  return [...groups.values()];
}
