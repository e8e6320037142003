import { found } from "../../base/found.js";
import { Graph } from "../graph/graph.js";
import { withRoom } from "../models/forward/rotary.js";
import { declareWeights } from "../models/graph-weights.js";
import { outputOf } from "../runtime/outputs.js";
import { Session } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import { classLogits, paddingId, textFeeds } from "./class-logits.js";
import { type Classifier, classifierSpecs } from "./classifier.js";
import { type ClassifierOptions, inBatches, isMultiLabel, lengthObstacle, type TextClassifier } from "./text-classifier.js";

/** A classifier in memory, ready to run. */
export async function decoderClassifier(classifier: Classifier, options: ClassifierOptions): Promise<TextClassifier> {
  const { config, params, tokenizer, labels, rawConfig } = classifier;
  const sessions = new Sessions(config.maxPositions, 1);
  const compiled = (positions: number) =>
    sessions.get("classify", positions, (room) => {
      const graph = new Graph("classify");
      const weights = declareWeights(graph, classifierSpecs(config, labels.length), params);
      graph.output("logits", classLogits(graph, withRoom(config, room), weights));
      return Session.create(graph, options);
    });
  await compiled(0);
  const padId = paddingId(classifier);
  const feeds = (batch: readonly { ids: Int32Array }[]) =>
    textFeeds(
      batch.map(({ ids }) => ids),
      padId,
    );
  return {
    ...{ labels, tokenizer, multiLabel: isMultiLabel(rawConfig) },
    obstacle: (text) => lengthObstacle(text, config.maxPositions) ?? strayToken(text.ids, config.vocabSize),
    logits: (texts) =>
      inBatches(texts, options.batchTokens, async (batch) => {
        const fed = feeds(batch);
        const session = await compiled(found(fed.ids, "the texts' ids").dims[1]!);
        return outputOf(await session.run(fed), "logits");
      }),
    release: () => sessions.release(),
  };
}

function strayToken(ids: Int32Array, vocabSize: number): string | undefined {
  const stray = ids.find((id) => id < 0 || id >= vocabSize);
  return stray === undefined ? undefined : `token id ${stray} is outside the classifier's vocabulary of ${vocabSize}`;
}
