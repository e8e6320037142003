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
  /** Most tokens of a text; undefined if that is not known. */
  readonly maxPositions: number | undefined;
  readonly tokenizer: Tokenizer;
  /** Logits [C] of each tokenised text. */
  logits(texts: readonly EncodedText[]): Promise<Float32Array[]>;
  release(): Promise<void>;
}

export interface ClassifierOptions extends SessionOptions {
  /** Most tokens of one forward, padding included. */
  readonly batchTokens: number;
}

/** Runs texts through a forward that gives [B, C], batch by batch. */
export async function inBatches(
  texts: readonly EncodedText[],
  batchTokens: number,
  forward: (texts: readonly EncodedText[]) => Promise<Tensor>,
): Promise<Float32Array[]> {
  const logits = new Array<Float32Array>(texts.length);
  for (const members of batchesWithin(
    texts.map(({ ids }) => ids.length),
    batchTokens,
  )) {
    const { data, dims } = await forward(members.map((i) => texts[i]!));
    const classes = dims[1]!;
    members.forEach((member, b) => {
      logits[member] = (data as Float32Array).slice(b * classes, (b + 1) * classes);
    });
  }
  return logits;
}
