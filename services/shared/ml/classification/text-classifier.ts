import { counted } from "../../base/counted.js";
import type { Tensor } from "../graph/tensor.js";
import { cheapestBatches } from "../runtime/batches.js";
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
  ids.length > positions ? `the text has ${counted(ids.length, "token")}, and the classifier takes ${positions}` : undefined;

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
  const groups = padded ? [[...texts.keys()]] : byLength(texts);
  const logits = new Array<Float32Array>(texts.length);
  for (const group of groups) {
    const lengths = group.map((i) => [texts[i]!.ids.length]);
    for (const members of cheapestBatches(lengths, batchTokens, overhead)) {
      const { data, dims } = await forward(members.map((i) => texts[group[i]!]!));
      const classes = dims[1]!;
      members.forEach((member, b) => {
        logits[group[member]!] = (data as Float32Array).slice(b * classes, (b + 1) * classes);
      });
    }
  }
  return logits;
}

/** What a batch costs beside its tokens, in tokens: classifiers are of any size. */
const overhead = 64;

function byLength(texts: readonly EncodedText[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const [i, { ids }] of texts.entries()) groups.set(ids.length, [...(groups.get(ids.length) ?? []), i]);
  return [...groups.values()];
}
