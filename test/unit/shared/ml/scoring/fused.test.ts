import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { loraOf } from "../../../../../services/shared/ml/models/adapter/layers.js";
import { lowRank } from "../../../../../services/shared/ml/models/adapter/low-rank.js";
import { fusedObstacle } from "../../../../../services/shared/ml/models/fused-states.js";
import { allLinear } from "../../../../../services/shared/ml/models/lora.js";
import type { Model } from "../../../../../services/shared/ml/models/model.js";
import { weightsAt } from "../../../../../services/shared/ml/models/precision/dtype.js";
import { precisionOf } from "../../../../../services/shared/ml/scoring/precision.js";
import { Scorer, type ScorerOptions } from "../../../../../services/shared/ml/scoring/scorer.js";
import type { Score, Signal } from "../../../../../services/shared/ml/signals/score.js";
import type { ScoreInput } from "../../../../../services/shared/ml/signals/signal.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5 } from "../../../../support/models/small-t5.js";

const vocab = 150;
const ids = (length: number, start: number) => Int32Array.from({ length }, (_, j) => (start + j * 11) % vocab);

/** Of different lengths, so that batches are padded; one with a reply between its turns. */
const inputs: ScoreInput[] = [
  { promptIds: ids(5, 4), completionIds: ids(7, 50), replies: [{ at: 3, ids: ids(4, 60) }] },
  { promptIds: ids(1, 9), completionIds: ids(1, 70) },
  { promptIds: ids(12, 30), completionIds: ids(3, 5) },
  { promptIds: ids(2, 80), completionIds: ids(20, 90) },
];
const k = 4;
const chosen = inputs.map((input) => ({
  ...input,
  studentTopIds: Int32Array.from({ length: k * input.completionIds.length }, (_, i) => (i % k) * 7),
}));
const full: Signal = { kind: "full", k: 0, temperature: 1 };
const usual: ScorerOptions = { device: "cpu", threads: 1, batchTokens: 4096 };

async function scores({ config, params, adapter }: Model, how: Partial<ScorerOptions>, signal = full): Promise<Score[]> {
  const scorer = new Scorer(config, params, { ...usual, ...how }, adapter);
  try {
    return await scorer.score(chosen, signal);
  } finally {
    await scorer.release();
  }
}

/** What rounding doesn't change. */
const exactly = ({ signal, ids, counts, hidden }: Score) => ({ signal, ids, counts, hidden });

const distributions = (all: readonly Score[]): number[] => all.flatMap(({ full: logps = [] }) => [...logps]);

/** Of two lists of distributions [rows, V] in logarithms. */
function meanKl(exact: readonly number[], used: readonly number[]): number {
  return exact.reduce((sum, logp, at) => sum + Math.exp(logp) * (logp - (used[at] as number)), 0) / (exact.length / vocab);
}

const families = Object.entries(smallConfigs).filter(([, config]) => !fusedObstacle(smallModel(config).config));

describe("a scorer by fused operators", () => {
  it("is one of nearly every family", () => {
    expect(families.length).toBeGreaterThan(20);
  });

  it.each(families)("gives what plain ones give: %s", async (_, config) => {
    const model = smallModel(config);
    const [fused, plain] = [distributions(await scores(model, { fused: "float32" })), distributions(await scores(model, {}))];
    expectAllClose(fused, plain, { rtol: 1e-4, atol: 2e-4 });
  });

  // The logits of these models lie further apart than a trained model's.
  it.each(families)("costs little in half precision, with weights that are held so: %s", async (_, config) => {
    const model = smallModel(config);
    const exact = distributions(await scores(model, {}));
    for (const [dtype, bound] of [
      ["float16", 2e-4],
      ["bfloat16", 1e-2],
    ] as const) {
      const held = weightsAt(model.config, model.params, dtype);
      const used = distributions(await scores({ ...model, params: held.weights } as Model, { fused: dtype }));
      held.close();
      expect(used.every(Number.isFinite)).toBe(true);
      expect(meanKl(exact, used)).toBeLessThan(bound);
      // It is half precision that was computed in.
      expect(meanKl(exact, used)).toBeGreaterThan(bound / 1000);
    }
  });

  it("has an adapter's factors beside its weights", async () => {
    const model = smallModel();
    const lora = loraOf(model.config, { r: 2, alpha: 4, useRslora: false, targetModules: [allLinear] });
    const factors = new Map(
      lowRank(model.config, lora).specs.map(({ name, dims }) => {
        const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => 0.2 * Math.sin(i * 1.3 + name.length));
        return [name, float32(data, dims)];
      }),
    );
    const adapted = { ...model, adapter: { lora, factors } } as unknown as Model;
    const [fused, plain] = [distributions(await scores(adapted, { fused: "float32" })), distributions(await scores(adapted, {}))];
    expectAllClose(fused, plain, { rtol: 1e-4, atol: 2e-4 });
    expect(meanKl(plain, distributions(await scores(model, {})))).toBeGreaterThan(0.01);
  });

  it("says what half precision costs when the model is opened, also where its weights aren't rounded", async () => {
    const model = smallModel();
    const held = weightsAt(model.config, model.params, "float16");
    const stored = new Map(
      [...held.weights].map(([name, weight]) => [name, "origin" in weight ? { ...weight, origin: undefined } : weight]),
    );
    const opened = { ...model, params: stored } as unknown as Model;
    const measured = async (fused: ScorerOptions["fused"]) => {
      const options = { ...usual, ...(fused === undefined ? {} : { fused }) };
      const scorer = new Scorer(model.config, opened.params, options);
      const precision = await precisionOf(opened, scorer, options);
      await scorer.release();
      return precision;
    };
    expect(await measured(undefined)).toEqual({ meanKl: 0, maxLogprobError: 0, tokens: 0 });
    const { meanKl: cost, tokens } = await measured("float16");
    expect(tokens).toBeGreaterThan(100);
    expect(cost).toBeGreaterThan(0);
    expect(cost).toBeLessThan(1e-4);
    held.close();
  });

  it("refuses a model whose activations float16 can't hold, by name and with the way out", async () => {
    const model = smallModel();
    for (const [name, { data }] of model.params) if (name.endsWith("mlp.down_proj.weight")) data.set(data.map((x) => 3e4 * x));
    await expect(scores(model, { fused: "float16" })).rejects.toMatchObject({
      code: "FailedPrecondition",
      fieldPath: "dtype",
      message: expect.stringMatching(/computed in float16, which this model's activations overflow; take dtype bfloat16, or float32$/),
    });
    await expect(
      scores(model, { fused: "float16" }, { kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("activations overflow"),
    });
    expect(distributions(await scores(model, {})).every(Number.isFinite)).toBe(true);
  });

  it("refuses models that have none, and is none where it isn't asked for on the CPU", async () => {
    expect(() => new Scorer(smallT5().config, smallT5().params, { ...usual, fused: "float16" })).toThrow("encoder-decoders do not");
    const model = smallModel();
    const held = weightsAt(model.config, model.params, "float16");
    const dtypeOn = (device: "cpu" | "cuda") => new Scorer(model.config, held.weights, { ...usual, device }).dtype;
    expect([dtypeOn("cpu"), dtypeOn("cuda")]).toEqual(["float32", "float16"]);
    held.close();
  });
});

describe("a scorer of answers in blocks of rows", () => {
  it.each([
    { kind: "sampled", k: 0 },
    { kind: "top_k", k },
    { kind: "student_top_k", k },
    { kind: "random_k", k: 9 },
    { kind: "full", k: 0 },
    { kind: "hidden", k: 0 },
  ] as const)("gives what it gives of all rows at once: $kind", async (asked) => {
    const signal = { ...asked, temperature: 0.7 };
    const whole = await scores(smallModel(), {}, signal);
    // 31 rows: blocks of 7, of which the last is filled up; of one row; and all rows in one block.
    for (const rows of [7, 1, 31]) {
      const inBlocks = await scores(smallModel(), { blockElements: rows * vocab }, signal);
      expect(inBlocks.map(exactly)).toEqual(whole.map(exactly));
      for (const [i, score] of inBlocks.entries())
        for (const name of ["logprobs", "topLogprobs", "tail", "entropy", "full"] as const)
          expectAllClose(score[name] ?? [], whole[i]?.[name] ?? [], { rtol: 1e-5, atol: 1e-5 }, name);
    }
  });
});
