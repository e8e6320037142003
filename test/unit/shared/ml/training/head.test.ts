import { deriveSeed, normals } from "../../../../../services/shared/base/random.js";
import { float32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { rowReports } from "../../../../../services/shared/ml/losses/row-losses.js";
import { decoderInputs } from "../../../../../services/shared/ml/models/architectures/sequence-inputs.js";
import { headDigest } from "../../../../../services/shared/ml/models/model.js";
import { wholeModel } from "../../../../../services/shared/ml/models/trainable.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import type { Score } from "../../../../../services/shared/ml/signals/score.js";
import { microBatch, type TrainSequence } from "../../../../../services/shared/ml/training/batch.js";
import { accumulateGraph } from "../../../../../services/shared/ml/training/step-graph.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, largestClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { plainObjective } from "../../../../support/loss/loss.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const [vocab, width] = [150, 12];
const head = float32(normals(5n, vocab * width, 1), [vocab, width]);
const heads = new Map([[headDigest(head), head]]);

/** Sequences of different lengths with everything that any signal says about them. */
const sequences = [7, 1, 12, 4].map((length, i): TrainSequence & { readonly full: number[]; readonly hidden: Float32Array } => {
  const hidden = normals(deriveSeed(6n, i), length * width, 1);
  const logits = Array.from({ length: length * vocab }, (_, at) => {
    const [n, v] = [Math.floor(at / vocab), at % vocab];
    return Array.from({ length: width }, (_, d) => hidden[n * width + d]! * head.data[v * width + d]!).reduce((a, b) => a + b);
  });
  return {
    promptIds: Int32Array.from({ length: 2 + i }, (_, t) => (5 + 7 * t + i) % vocab),
    completionIds: Int32Array.from({ length }, (_, n) => (9 + 31 * n + i) % vocab),
    samplerLogprobs: new Float32Array(length).fill(-4),
    advantage: i - 1.5,
    full: logSoftmaxRows(logits, vocab),
    hidden,
  };
});

function scored({ full, hidden, ...sequence }: (typeof sequences)[number], { signal: kind, k }: Objective): TrainSequence {
  const signal = { kind, k, temperature: 1, hiddenDtype: "float32" as const };
  const logprobs = Float32Array.from(sequence.completionIds, (id, n) => full[n * vocab + id]!);
  const classes = chosenClasses(full, vocab, largestClasses(full, vocab, k));
  const own: { readonly [Kind in Objective["signal"]]: () => Partial<Score> } = {
    full: () => ({ full: Float32Array.from(full) }),
    hidden: () => ({ hidden, headDigest: headDigest(head), logprobs: undefined }),
    random_k: () => ({
      ids: Int32Array.from(largestClasses(full, vocab, 2).flat()),
      counts: Uint16Array.from([...sequence.completionIds].flatMap(() => [k - 1, 1])),
      entropy: new Float32Array(sequence.completionIds.length).fill(2),
    }),
    sampled: () => ({}),
    student_top_k: () => own.top_k(),
    top_k: () => ({
      ids: Int32Array.from(classes.ids!),
      topLogprobs: Float32Array.from(classes.top!),
      tail: Float32Array.from(classes.tail!),
    }),
  };
  return { ...sequence, score: { signal, logprobs, ...own[kind]() } };
}

/** Loss and gradients of all weights, with rows in blocks of a size, or all at once for 0. */
async function gradients(objective: Objective, blockRows: number, tied: boolean): Promise<Record<string, Tensor>> {
  const { config, params } = smallModel(tied ? smallConfigs.llama : smallConfigs["llama, one key per head, own head"]);
  const batch = sequences.map((sequence) => scored(sequence, objective));
  const order = batch.map((_, i) => i);
  const { feeds } = microBatch(batch, order, { inputs: decoderInputs, padId: 0, vocab, objective, blockRows, heads });
  const options = { config, trainable: wholeModel(config), objective, blocks: blockRows > 0 };
  const session = await Session.create(accumulateGraph(options), { device: "cpu", threads: 1 });
  const zeros = [...params].map(([name, { dims, data }]) => [`g:${name}`, float32(new Float32Array(data.length), dims)] as const);
  const outputs = await session.run({ ...feeds, ...Object.fromEntries(params), ...Object.fromEntries(zeros) });
  await session.release();
  return outputs;
}

describe("the vocabulary loss in blocks of rows", () => {
  it.each<[string, Partial<Objective>]>([
    ["jsd over the whole distribution", { divergence: "jsd" }],
    ["the forward KL over hidden states", { signal: "hidden" }],
    ["the reverse KL over the teacher's classes", { divergence: "reverse_kl", signal: "top_k", k: 9 }],
    ["adaptive KL over the student's classes", { divergence: "adaptive_kl", signal: "student_top_k", k: 9 }],
    ["the forward KL from draws", { signal: "random_k", k: 30 }],
    ["the policy gradient with its baseline", { divergence: "opd", klBaseline: true }],
    ["the policy gradient of sampled tokens, and a reward", { divergence: "opd", signal: "sampled", alpha: 0.3 }],
    ["the control without a teacher", { divergence: "constant_advantage" }],
    ["cross-entropy by tokens", { divergence: "cross_entropy", normalisation: "token" }],
  ])("has the loss and gradients of all rows at once, to 1e-5: %s", async (_, settings) => {
    const objective = { ...plainObjective, ...settings };
    for (const tied of [true, false]) {
      const plain = await gradients(objective, 0, tied);
      // 24 rows: blocks that they fill, that they do not fill, and one larger than all of them.
      for (const blockRows of [8, 5, 64]) {
        const blocked = await gradients(objective, blockRows, tied);
        expectAllClose(blocked.loss!.data as Float32Array, plain.loss!.data as Float32Array, { rtol: 1e-5, atol: 1e-6 }, "loss");
        for (const name of Object.keys(plain).filter((name) => name.startsWith("next:g:")))
          expectAllClose(blocked[name]!.data as Float32Array, plain[name]!.data as Float32Array, { rtol: 1e-5, atol: 1e-5 }, name);
        for (const name of rowReports(objective)) {
          const rows = (plain[name]!.data as Float32Array).length;
          expectAllClose(
            (blocked[name]!.data as Float32Array).subarray(0, rows),
            plain[name]!.data as Float32Array,
            { rtol: 1e-5, atol: 1e-5 },
            name,
          );
        }
      }
    }
  });
});
