// Dimensions: B batch, T position, P position of a prompt, V vocabulary, R rows, D width.
import { readFileSync } from "node:fs";
import { gradientsOf } from "../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { float32, int64, type Tensor } from "../../services/shared/ml/graph/tensor.js";
import { inputsOf } from "../../services/shared/ml/models/architectures/table.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { logits } from "../../services/shared/ml/models/hidden-states.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { declareModel, paramSpecs } from "../../services/shared/ml/models/model-params.js";
import { sequenceStates } from "../../services/shared/ml/models/sequence-states.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { Session } from "../../services/shared/ml/runtime/session.js";
import { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";
import { microBatch } from "../../services/shared/ml/training/batch.js";
import { accumulateGraph } from "../../services/shared/ml/training/step-graph.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { plainObjective } from "../support/loss/loss.js";
import { type GradientProbes, type T5Golden, t5Fixture, t5Fixtures, t5Golden } from "../support/models/t5-fixtures.js";

/** The logits of real positions only, all rows padded to one batch: [R, V], and what to feed. */
function forward({ config, params: weights }: Model, rows: T5Golden["rows"], as: "inputs" | "initializers") {
  const graph = new Graph("forward");
  const params = declareModel(graph, config, as === "inputs" ? "inputs" : weights);
  const hidden_BTD = sequenceStates(graph, config, params);
  const rows_R = graph.input("rows", "int64", ["R"]);
  const hidden_RD = op.gather(op.reshape(hidden_BTD, ["BT", config.hiddenSize]), rows_R);
  // The decoder reads its start token and all but the last of these; what the last one is does not matter.
  const texts = rows.map(({ prompt, decoder }) => ({
    promptIds: Int32Array.from(prompt),
    completionIds: Int32Array.from([...decoder.slice(1), 0]),
  }));
  const { feeds, places } = inputsOf(config).layOut(texts, config.padId ?? 0);
  const own: Record<string, Tensor> = as === "inputs" ? Object.fromEntries(weights) : {};
  return {
    graph,
    params,
    feeds: { ...feeds, rows: int64(Array.from(places, Number)), ...own },
    logits_RV: logits(config, params, hidden_RD),
  };
}

/** How far gradients are from their probes, as a share of their norms: the projection may be small by cancellation. */
function expectProbes(gradientOf: (weight: string) => Float32Array, probes: GradientProbes): void {
  for (const [weight, [norm, projection]] of Object.entries(probes)) {
    const gradient = Array.from(gradientOf(weight));
    const foundProjection = gradient.reduce((sum, g, i) => sum + g * Math.cos(i), 0);
    const errors = [Math.abs(Math.hypot(...gradient) - norm) / norm, Math.abs(foundProjection - projection) / norm];
    expect([weight, errors.map((error) => error < 1e-4)]).toEqual([weight, [true, true]]);
  }
}

describe.each(t5Fixtures)("the encoder-decoder %s, against transformers", (name) => {
  const golden = t5Golden(name);

  it(`has the same logits (${golden.kind})`, async () => {
    const model = await loadModel(t5Fixture(name));
    const { graph, feeds, logits_RV } = forward(model, golden.rows, "initializers");
    const { found } = await evaluate(graph, { found: logits_RV }, feeds);
    expectAllClose(found!.data as Float32Array, golden.logits.flat(2), { rtol: 0, atol: 1e-4 }, "logits");
  });

  it("has the same gradient for every weight", async () => {
    const model = await loadModel(t5Fixture(name));
    const { graph, params, feeds, logits_RV } = forward(model, golden.rows, "inputs");
    const names = paramSpecs(model.config).map(({ name }) => name);
    expect([...names].sort()).toEqual(Object.keys(golden.gradients).sort());
    const squares = op.reduceSum(op.mul(logits_RV, logits_RV));
    const gradients = gradientsOf(
      squares,
      names.map((weight) => params.weight(weight)),
    );
    const found = await evaluate(graph, Object.fromEntries(names.map((weight, i) => [`gradient of ${weight}`, gradients[i]!])), feeds);
    expectProbes((weight) => found[`gradient of ${weight}`]!.data as Float32Array, golden.gradients);
  });

  it.each([0, 3, 64])(
    "has autograd's loss and gradients in a step of distillation, vocabulary loss in blocks of %i rows",
    async (blockRows) => {
      const { config, params: weights } = await loadModel(t5Fixture(name));
      const { sequences, loss, gradients } = golden.step;
      const batch = sequences.map(({ prompt, completion, teacherLogprobs }) => {
        const full = Float32Array.from(teacherLogprobs.flat());
        const logprobs = Float32Array.from(completion, (id, n) => full[n * config.vocabSize + id]!);
        const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
        return { promptIds: Int32Array.from(prompt), completionIds: Int32Array.from(completion), score };
      });
      const options = { device: "cpu" as const, threads: 1, objective: plainObjective, optimizer: adamw };
      const layout = {
        inputs: inputsOf(config),
        padId: 0,
        vocab: config.vocabSize,
        objective: plainObjective,
        blockRows,
      };
      const { feeds } = microBatch(
        batch,
        batch.map((_, i) => i),
        layout,
      );
      const session = await Session.create(
        accumulateGraph({ config, trainable: wholeModel(config), ...options, blocks: blockRows > 0 }),
        options,
      );
      const zeros = Object.fromEntries(
        [...weights].map(([weight, { data, dims }]) => [`g:${weight}`, float32(new Float32Array(data.length), dims)]),
      );
      const outputs = await session.run({ ...feeds, ...Object.fromEntries(weights), ...zeros });
      await session.release();
      expectAllClose(outputs.loss!.data as Float32Array, [loss], { rtol: 1e-5 }, "loss");
      expectProbes((weight) => outputs[`next:g:${weight}`]!.data as Float32Array, gradients);
    },
  );
});

const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };

describe("T5's tokenizer, against transformers", () => {
  const { cases } = JSON.parse(readFileSync("test/golden/fixtures/t5/tokens.json", "utf8")) as {
    cases: { text: string; ids: number[]; idsSpecial: number[]; decoded: string }[];
  };

  it.each(cases)("gives the ids of $text, and its text back", async ({ text, ids, idsSpecial, decoded }) => {
    const tokenizer = await Tokenizer.load(t5Fixture("t5"));
    expect([...tokenizer.encode(text)]).toEqual(ids);
    expect([...tokenizer.encode(text, { addSpecial: true })]).toEqual(idsSpecial);
    expect(tokenizer.decode(idsSpecial)).toBe(decoded);
  });
});
