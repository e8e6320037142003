import { classLogits, paddingId, textFeeds } from "../../../../../services/shared/ml/classification/class-logits.js";
import { classifierSpecs, withClasses } from "../../../../../services/shared/ml/classification/classifier.js";
import { ClassifierTrainer, type LabelledText } from "../../../../../services/shared/ml/classification/classifier-trainer.js";
import { decoderClassifier } from "../../../../../services/shared/ml/classification/decoder-classifier.js";
import { type EpochFigures, fineTune } from "../../../../../services/shared/ml/classification/fine-tune.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { declareWeights } from "../../../../../services/shared/ml/models/graph-weights.js";
import { floatsOf } from "../../../../../services/shared/ml/runtime/outputs.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const session = { device: "cpu", threads: 1 } as const;
const optimizer = { beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, maxGradNorm: 0 };
const trainerOptions = { ...session, optimizer, microBatchTokens: 1000 };
const texts: readonly LabelledText[] = [
  { ids: Int32Array.of(3, 4, 5), label: 0 },
  { ids: Int32Array.of(9), label: 2 },
  { ids: Int32Array.of(7, 7, 7, 8, 1), label: 1 },
];
const labels = ["a", "b", "c"];

describe.each(Object.keys(smallConfigs) as (keyof typeof smallConfigs)[])("a %s classifier's step", (name) => {
  const classifier = withClasses(smallModel(smallConfigs[name]), labels, 4n);

  /** Mean cross-entropy of the texts by these logits. */
  const crossEntropy = (logits: readonly ArrayLike<number>[]): number => {
    const each = texts.map(({ label }, i) => {
      const row = Array.from(logits[i]!);
      return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[label]!;
    });
    return each.reduce((a, b) => a + b) / each.length;
  };

  /** The loss of any weights, by the graph that only classifies. */
  async function compiledLoss() {
    const graph = new Graph("classify");
    const weights = declareWeights(graph, classifierSpecs(classifier.config, labels.length), "inputs");
    graph.output("logits", classLogits(graph, classifier.config, weights));
    const compiled = await Session.create(graph, session);
    const feeds = textFeeds(
      texts.map(({ ids }) => ids),
      paddingId(classifier),
    );
    const loss = async (params: typeof classifier.params) => {
      const logits = floatsOf(await compiled.run({ ...feeds, ...Object.fromEntries(params) }), "logits");
      return crossEntropy(texts.map((_, i) => logits.subarray(i * labels.length, (i + 1) * labels.length)));
    };
    return { loss, release: () => compiled.release() };
  }

  it("moves every weight against the slope of the loss", async () => {
    const trainer = new ClassifierTrainer(classifier, trainerOptions);
    // Without memory and with epsilon 1, AdamW moves by −η g/(|g| + 1): from it the gradient follows.
    const rate = 1;
    const { logits, release: releaseClassifier } = await decoderClassifier(classifier, { ...session, batchTokens: 100 });
    const found = await logits(texts.map(({ ids }) => ({ ids, typeIds: ids })));
    await releaseClassifier();
    expect(await trainer.step(texts, rate)).toBeCloseTo(crossEntropy(found), 5);
    const moved = trainer.current().params;
    await trainer.release();
    const { loss, release } = await compiledLoss();
    let seen = 0;
    for (const [weight, { data, dims }] of classifier.params) {
      const gradient = Float64Array.from(data, (x, i) => {
        const share = (x - moved.get(weight)!.data[i]!) / rate;
        return share / (1 - Math.abs(share));
      });
      const norm = Math.hypot(...gradient);
      if (norm < 1e-3) continue;
      const along = (by: number) =>
        new Map(classifier.params).set(
          weight,
          float32(
            data.map((x, i) => x + (by * gradient[i]!) / norm),
            dims,
          ),
        );
      const h = 3e-3;
      const slope = ((await loss(along(h))) - (await loss(along(-h)))) / (2 * h);
      expect([weight, Math.abs(slope - norm) / norm < 0.05]).toEqual([weight, true]);
      seen++;
    }
    await release();
    expect(seen).toBeGreaterThan(classifier.params.size / 2);
  });
});

describe("a step that is split into micro-batches", () => {
  it("changes nothing", async () => {
    const classifier = withClasses(smallModel(), labels, 4n);
    const [whole, split] = [1000, 6].map((microBatchTokens) => new ClassifierTrainer(classifier, { ...trainerOptions, microBatchTokens }));
    expect(await split!.step(texts, 1)).toBeCloseTo(await whole!.step(texts, 1), 6);
    const moved = whole!.current().params;
    for (const [name, { data }] of split!.current().params) expectAllClose(data, moved.get(name)!.data, { rtol: 1e-4, atol: 1e-6 }, name);
    for (const trainer of [whole!, split!]) await trainer.release();
  });
});

describe("fineTune()", () => {
  /** Whether a text has more of token 5 than of token 6: nothing that its last token alone would tell. */
  const counting = Array.from({ length: 400 }, (_, n): LabelledText => {
    const ids = Int32Array.from({ length: 5 }, (_, t) => 5 + ((n >> t) & 1));
    return { ids, label: ids.filter((id) => id === 5).length >= 3 ? 0 : 1 };
  });
  const classifier = withClasses(smallModel(), ["more", "fewer"], 4n);
  const options = { ...session, epochs: 4, batchSize: 32, learningRate: 3e-3, warmup: 0, seed: 9n };

  it("learns to tell texts apart", async () => {
    const epochs: EpochFigures[] = [];
    const steps: number[] = [];
    await fineTune(classifier, counting.slice(0, 300), counting.slice(300), {
      ...options,
      onEpoch: (figures) => epochs.push(figures),
      onStep: (done) => steps.push(done),
    });
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(epochs.at(-1)!.accuracy).toBe(1);
    expect(epochs.at(-1)!.loss).toBeLessThan(epochs[0]!.loss / 2);
    expect(steps).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it("gives the same bits for the same seed", async () => {
    const once = () => fineTune(classifier, counting.slice(0, 64), [], { ...options, epochs: 1 });
    expect(await once()).toEqual(await once());
  });

  it("leaves the weights as they were where a step is not finite", async () => {
    const broken = { ...classifier, params: new Map(classifier.params) };
    broken.params.set("score.weight", float32(new Float32Array(64).fill(Number.NaN), [2, 32]));
    const trainer = new ClassifierTrainer(broken, trainerOptions);
    await expect(trainer.step(counting.slice(0, 4), 1)).rejects.toThrow(/loss NaN.*the step was not applied/);
    expect(trainer.current().params).toEqual(broken.params);
    await trainer.release();
  });
});
