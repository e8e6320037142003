import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import { int32, int64 } from "../../services/shared/ml/graph/tensor.js";
import { declareAdapted } from "../../services/shared/ml/models/adapter/declare.js";
import { lowRank, mergedModel } from "../../services/shared/ml/models/adapter/low-rank.js";
import { allInMemory, type Constants } from "../../services/shared/ml/models/constants.js";
import { saveAdapter } from "../../services/shared/ml/models/files/adapter-files.js";
import { loadAdaptable, loadModel, mapModel } from "../../services/shared/ml/models/files/model-files.js";
import { causalAttention } from "../../services/shared/ml/models/forward/attention.js";
import { SequencePass } from "../../services/shared/ml/models/forward/sequence-pass.js";
import { hiddenStates, logits } from "../../services/shared/ml/models/hidden-states.js";
import { factorNames } from "../../services/shared/ml/models/lora.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { weightOf } from "../../services/shared/ml/models/param-spec.js";
import { weightsAt } from "../../services/shared/ml/models/precision/dtype.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { evaluate } from "../support/graph/evaluate.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { plainObjective } from "../support/loss/loss.js";
import { adapterFixture, adapterFixtures } from "../support/models/fixtures.js";

interface Golden {
  readonly kind: string;
  readonly rows: readonly (readonly number[])[];
  readonly logits: readonly (readonly (readonly number[])[])[];
  readonly sequences: readonly { readonly prompt: number[]; readonly completion: number[] }[];
  readonly teacherLogprobs: readonly (readonly number[])[];
  readonly optimizer: Record<"learningRate" | "beta1" | "beta2" | "epsilon" | "weightDecay" | "maxGradNorm", number>;
  readonly steps: readonly {
    readonly loss: number;
    readonly gradientNorm: number;
    /** Factors by name; present after the first step and the last. */
    readonly after: Readonly<Record<string, number[]>>;
  }[];
}

/** The logits of each row run alone, [T, V] each, one behind the other. */
async function logitsOf(model: Model, rows: Golden["rows"]): Promise<number[]> {
  const all: number[] = [];
  for (const row of rows) {
    const graph = new Graph("forward");
    const params = declareAdapted(graph, model.config, model.params, model.adapter?.lora);
    const ids_BT = graph.input("ids", "int32", ["B", "T"]);
    const positions_BT = graph.input("positions", "int64", ["B", "T"]);
    const hidden = hiddenStates(new SequencePass(model.config, params, { positions_BT, attend: causalAttention() }), ids_BT);
    const feeds = {
      ...Object.fromEntries(model.adapter?.factors ?? []),
      ids: int32([...row], [1, row.length]),
      positions: int64([...row.keys()], [1, row.length]),
    };
    const { found } = await evaluate(graph, { found: logits(model.config, params, hidden) }, feeds);
    all.push(...(found!.data as Float32Array));
  }
  return all;
}

/** The sequences that a fixture is trained on, with its teacher's whole distributions. */
const batchOf = (golden: Golden, vocabSize: number) =>
  golden.sequences.map(({ prompt, completion }, i) => {
    const full = Float32Array.from(golden.teacherLogprobs[i]!);
    const logprobs = Float32Array.from(completion, (id, n) => full[n * vocabSize + id]!);
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
    return { promptIds: Int32Array.from(prompt), completionIds: Int32Array.from(completion), score };
  });

describe.each(adapterFixtures)("the adapter %s, against PEFT", (name) => {
  const directory = adapterFixture(name);
  const golden = JSON.parse(readFileSync(join(directory, "golden.json"), "utf8")) as Golden;

  it(`has the same logits beside its base, and merged into it (${golden.kind})`, async () => {
    for (const model of [await loadAdaptable(directory), await loadModel(directory)])
      expectAllClose(await logitsOf(model, golden.rows), golden.logits.flat(2), { rtol: 0, atol: 3e-5 }, "logits");
  });

  it("is trained to the same factors by AdamW, all of them decayed, and nothing else is", async () => {
    const { config, params, adapter } = await loadAdaptable(directory);
    const { learningRate, ...optimizer } = golden.optimizer;
    const batch = batchOf(golden, config.vocabSize);
    const options = { device: "cpu", threads: 1, objective: plainObjective, optimizer } as const;
    const mapped = weightsAt(config, (await mapModel(directory)).params, "float32");
    // In one micro-batch and in several, with the vocabulary's loss at once and in blocks, and the base in memory and in files.
    for (const [base, cut] of [
      [params, { microBatchTokens: 1000 }],
      [params, { microBatchTokens: 12 }],
      [mapped.weights, { microBatchTokens: 12 }],
      [mapped.weights, { microBatchTokens: 1000, blockRows: 4 }],
    ] as const) {
      const trainer = new Trainer(
        config,
        new Map([...base, ...adapter!.factors]),
        { ...options, ...cut },
        undefined,
        lowRank(config, adapter!.lora),
      );
      for (const { loss, gradientNorm, after } of golden.steps) {
        const stats = await trainer.step(batch, learningRate);
        expectAllClose([stats.loss, stats.gradientNorm], [loss, gradientNorm], { rtol: 1e-4, atol: 1e-6 });
        const { file, weights } = trainer.published();
        expect(file).toBe("adapter_model.safetensors");
        for (const [factor, expected] of Object.entries(after))
          expectAllClose(weightOf(weights, factor).data, expected, { rtol: 1e-3, atol: 2e-5 }, factor);
      }
      const merged = trainer.params();
      const adapted = new Set(adapter!.lora.layers.map((layer) => `${layer}.weight`));
      for (const [weight, tensor] of params) if (!adapted.has(weight)) expect(merged.get(weight)).toEqual(tensor);
      await trainer.release();
    }
    mapped.close();
  });

  it.each(["bfloat16", "float16"] as const)("is trained on a base held in %s as on the same numbers in float32", async (dtype) => {
    const { config, params, adapter } = await loadAdaptable(directory);
    const { learningRate, ...optimizer } = golden.optimizer;
    const options = { device: "cpu", threads: 1, objective: plainObjective, optimizer } as const;
    const held = weightsAt(config, params, dtype);
    const trained = async (base: Constants, cut: { readonly microBatchTokens: number; readonly gradientCheckpointing?: boolean }) => {
      const weights = new Map([...base, ...adapter!.factors]);
      const trainer = new Trainer(config, weights, { ...options, ...cut }, undefined, lowRank(config, adapter!.lora));
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) {
        const { loss, gradientNorm } = await trainer.step(batchOf(golden, config.vocabSize), learningRate);
        losses.push(loss, gradientNorm);
      }
      await trainer.release();
      return { losses, weights: trainer.published().weights };
    };
    const widened = allInMemory(held.weights);
    expect(new Set([...held.weights.values()].map((weight) => weight.dtype))).toEqual(new Set([dtype]));
    for (const cut of [{ microBatchTokens: 1000 }, { microBatchTokens: 12 }, { microBatchTokens: 1000, gradientCheckpointing: true }]) {
      const [found, expected] = [await trained(held.weights, cut), await trained(widened, cut)];
      expectAllClose(found.losses, expected.losses, { rtol: 1e-6, atol: 1e-6 });
      for (const [factor, { data }] of expected.weights)
        expectAllClose(weightOf(found.weights, factor).data, data, { rtol: 1e-6, atol: 1e-6 }, factor);
    }
    held.close();
  });

  it("is saved as PEFT has it, and read again as it was", async () => {
    const model = await loadAdaptable(directory);
    const saved = await mkdtemp(join(tmpdir(), "adapter-"));
    await saveAdapter(saved, model.adapter!, model.config, model.tokenizer);
    const [own, theirs] = await Promise.all(
      [saved, directory].map(async (from) => JSON.parse(await readFile(join(from, "adapter_config.json"), "utf8"))),
    );
    for (const key of ["peft_type", "task_type", "r", "lora_alpha", "use_rslora", "bias", "init_lora_weights"])
      expect([key, own[key]]).toEqual([key, theirs[key]]);
    const again = await loadAdaptable(saved);
    expect(again.adapter!.lora).toEqual(model.adapter!.lora);
    for (const layer of model.adapter!.lora.layers)
      for (const factor of Object.values(factorNames(layer)))
        expect(again.adapter!.factors.get(factor)).toEqual(model.adapter!.factors.get(factor));
    expect(mergedModel(again).params).toEqual((await loadModel(directory)).params);
    await rm(saved, { recursive: true });
  });
});
