import { estimateOf } from "../../../../services/controller/check/estimate.js";
import { settled } from "../../../../services/controller/check/settle.js";
import { checkedRun } from "../../../support/runs/checked-run.js";

const parameters = 134_515_008;
const memory = 16 * 2 ** 30;

describe("estimateOf()", () => {
  it("says what versions and checkpoints take: float32 weights, and two moments beside them", () => {
    const { disk } = estimateOf(checkedRun({ steps: 100 }), memory);
    const weights = BigInt(4 * parameters);
    expect(disk).toEqual({
      ...{ versionBytes: weights, versions: 4, firstVersionBytes: weights },
      ...{ checkpointBytes: 3n * weights, checkpoints: 3, outputBytes: weights },
      totalBytes: (1n + 4n + 3n * 3n + 1n) * weights,
    });
    const few = estimateOf(checkedRun({ steps: 1 }, { rollouts: { maxStaleness: 8 } }), memory).disk;
    expect(few).toMatchObject({ versions: 1 });
    const more = { checkpoints: { keep: 5 }, evaluation: { path: "held-out", keepBest: "greedy" } };
    expect(estimateOf(checkedRun({}, more), memory).disk).toMatchObject({ checkpoints: 8 });
  });

  it("counts of an adapter the factors, and once the base model as its files have it", () => {
    const { disk } = estimateOf(checkedRun({ steps: 100 }, { student: { model: "student", lora: { r: 8 } } }), memory);
    const factors = 4n * 2_442_240n;
    expect(disk).toMatchObject({ versionBytes: factors, checkpointBytes: 3n * factors, outputBytes: factors });
    expect(disk).toMatchObject({ firstVersionBytes: factors + BigInt(2 * parameters) });
  });

  it("counts a step's sequences, tokens and records, and those of steps that are under way together", () => {
    const phase = { steps: 10, batchSize: 8, samplesPerPrompt: 4, objective: { signal: "top_k", topK: 16 } };
    const { phases, streamBytes } = estimateOf({ ...checkedRun(phase), promptTokens: 20.5 }, memory);
    const tokens = 32 * 48;
    // A rollout twice: 16 bytes a completion token, 4 a prompt's. Of 16 classes: 4 bytes of an id, 4 of a log-probability, the rest's mass, and the token's own.
    const records = 2 * (16 * tokens + 32 * 4 * 20.5) + tokens * (16 * 8 + 8);
    expect(phases).toEqual([
      {
        ...{ name: "gkd", firstStep: 1, lastStep: 10, sequences: 32 },
        ...{ completionTokens: BigInt(tokens), promptTokens: 656n, streamBytes: BigInt(records) },
      },
    ]);
    expect(streamBytes).toBe(2n * BigInt(records));
  });

  it("takes the signals that a settled run has: hidden states of a large vocabulary", () => {
    const [phase] = estimateOf(settled(checkedRun()), memory).phases ?? [];
    const tokens = 8 * 48;
    expect(phase).toMatchObject({ streamBytes: BigInt(2 * 16 * tokens + 2 * 576 * tokens) });
  });

  it("counts what is sampled where only a prefix counts, all of it where a reward reads it", () => {
    const tokensOf = (objective: object, more: object = {}) => estimateOf(checkedRun({ objective }, more), memory).phases?.[0];
    expect(tokensOf({ prefixTokens: 12 })).toMatchObject({ completionTokens: BigInt(8 * 12) });
    const rewards = [{ kind: "length", maxTokens: 40 }];
    expect(tokensOf({ prefixTokens: 12, alpha: 0.5 }, { rewards })).toMatchObject({ completionTokens: BigInt(8 * 48) });
  });

  it("counts evaluations: before the first step, on the way, after the last", () => {
    const of = (evaluation: object) =>
      estimateOf(checkedRun({ steps: 100 }, { evaluation: { path: "x", ...evaluation } }), memory).evaluation;
    expect(of({})).toEqual({ evaluations: 2, completions: 256n, completionTokens: BigInt(256 * 48) });
    const many = { everySteps: 25, limit: 10, samplesPerPrompt: 3, temperatures: [1, 0.5], maxNewTokens: 100 };
    expect(of(many)).toEqual({ evaluations: 5, completions: 70n, completionTokens: 7000n });
    expect(of({ everySteps: 30 })).toMatchObject({ evaluations: 5 });
    expect(estimateOf(checkedRun(), memory).evaluation).toBeUndefined();
  });

  it("says nothing of a machine's memory where the roles share none", () => {
    expect(estimateOf(checkedRun(), memory).machineMemoryBytes).toBe(BigInt(memory));
    expect(estimateOf(checkedRun(), undefined)).not.toHaveProperty("machineMemoryBytes");
  });
});
