import { RetortError } from "../../base/errors.js";
import { openClassifier } from "../classification/open-classifier.js";
import type { ClassifierInput, ClassifierOptions, TextClassifier } from "../classification/text-classifier.js";
import { checkDevice } from "../runtime/device.js";

/** What a classifier tells apart. */
export type ClassifierDescription = Pick<TextClassifier, "labels" | "multiLabel">;

/** Logits [C] of one text, or why there are none. */
export type Judgement = Float32Array | { readonly failure: string };

/** One classifier: what a classifier worker serves. */
export class ClassifierHost {
  #classifier: TextClassifier | undefined;

  /** Opens a classifier; see {@link openClassifier}. */
  async open(path: string, options: ClassifierOptions): Promise<ClassifierDescription> {
    await checkDevice(options.device);
    this.#classifier = await openClassifier(path, options);
    const { labels, multiLabel } = this.#classifier;
    return { labels, multiLabel };
  }

  /** Judges texts. One that is empty or does not fit the model fails alone; nothing is cut off. */
  async classify(inputs: readonly ClassifierInput[]): Promise<Judgement[]> {
    const classifier = this.#classifier;
    if (!classifier) throw new RetortError("FailedPrecondition", "no classifier is open yet");
    const { tokenizer } = classifier;
    const texts = inputs.map(({ text, pair }) => tokenizer.encodeText(text, pair));
    const failures = texts.map((text) => (text.ids.length ? classifier.obstacle(text) : "the text is empty"));
    const logits = await classifier.logits(texts.filter((_, i) => failures[i] === undefined));
    let next = 0;
    return failures.map((failure) => (failure === undefined ? logits[next++]! : { failure }));
  }
}
