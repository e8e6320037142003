import { Graph } from "../graph/graph.js";
import { declareWeights } from "../models/params.js";
import { Session } from "../runtime/session.js";
import { classLogits, textFeeds } from "./class-logits.js";
import { type Classifier, classifierSpecs } from "./classifier.js";
import { type ClassifierOptions, inBatches, type TextClassifier } from "./text-classifier.js";

/** A classifier in memory, ready to run. */
export async function decoderClassifier(classifier: Classifier, options: ClassifierOptions): Promise<TextClassifier> {
  const { config, params, tokenizer, labels } = classifier;
  const graph = new Graph("classify");
  graph.output("logits", classLogits(graph, config, declareWeights(graph, classifierSpecs(config, labels.length), params)));
  const session = await Session.create(graph, options);
  return {
    ...{ labels, tokenizer, maxPositions: config.maxPositions },
    logits: (texts) =>
      inBatches(
        texts,
        options.batchTokens,
        async (batch) =>
          (
            await session.run(
              textFeeds(
                batch.map(({ ids }) => ids),
                config.padId,
              ),
            )
          ).logits!,
      ),
    release: () => session.release(),
  };
}
