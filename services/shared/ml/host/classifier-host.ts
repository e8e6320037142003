import { RetortError } from "../../base/errors.js";
import { openClassifier } from "../classification/open-classifier.js";
import type { ClassifierInput, ClassifierOptions, TextClassifier } from "../classification/text-classifier.js";
import { checkDevice } from "../runtime/device.js";

/** What a classifier tells apart. */
export interface ClassifierDescription {
  /** Name of each class, in the order of the logits. */
  readonly labels: readonly string[];
}

/** Logits [C] of one text, or why there are none. */
export type Judgement = Float32Array | { readonly failure: string };

/** One classifier: what a classifier worker serves. */
export class ClassifierHost {
  #classifier: TextClassifier | undefined;

  /** Opens a classifier; see {@link openClassifier}. */
  async open(path: string, options: ClassifierOptions): Promise<ClassifierDescription> {
    await checkDevice(options.device);
    this.#classifier = await openClassifier(path, options);
    return { labels: this.#classifier.labels };
  }

  /** Judges texts. One that is empty or longer than the model's positions fails alone; nothing is cut off. */
  async classify(inputs: readonly ClassifierInput[]): Promise<Judgement[]> {
    if (!this.#classifier) throw new RetortError("FailedPrecondition", "no classifier is open yet");
    const { tokenizer, maxPositions = Number.POSITIVE_INFINITY } = this.#classifier;
    const texts = inputs.map(({ text, pair }) => tokenizer.encodeText(text, pair));
    const fits = ({ length }: Int32Array) => length > 0 && length <= maxPositions;
    const logits = await this.#classifier.logits(texts.filter(({ ids }) => fits(ids)));
    let next = 0;
    return texts.map(({ ids }) => {
      if (fits(ids)) return logits[next++]!;
      return {
        failure: ids.length ? `the text has ${ids.length} tokens, and the classifier ${maxPositions} positions` : "the text is empty",
      };
    });
  }
}
