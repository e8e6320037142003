import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { closedValue } from "../../../../../services/shared/flow/runs/closed-value.js";
import { presets } from "../../../../../services/shared/flow/runs/presets.js";
import { lambdaAt, needsReward, needsScore, phaseOf, resolveLora, resolveRun } from "../../../../../services/shared/flow/runs/resolve.js";
import { LoraSpecSchema } from "../../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { runOf, specOf } from "../../../../support/runs/run-spec.js";

describe("resolveLora()", () => {
  it("is nothing where nothing is said, and fills in the defaults that run_spec.proto promises", () => {
    expect(resolveLora(undefined)).toBeUndefined();
    const loraOf = (lora: MessageInitShape<typeof LoraSpecSchema>) => resolveLora(create(LoraSpecSchema, lora));
    expect(loraOf({})).toEqual({ r: 16, alpha: 32, targetModules: ["all-linear"], useRslora: false });
    const given = { r: 2, alpha: 0.5, targetModules: ["q_proj"], useRslora: true };
    expect(loraOf(given)).toEqual(given);
  });
});

describe("resolveRun()", () => {
  it("fills in the defaults that run_spec.proto promises", () => {
    const run = resolveRun(specOf());
    expect(run).toMatchObject({
      seed: 0n,
      totalSteps: 10,
      maxStaleness: 1,
      maxAttempts: 3,
      stepTimeoutMs: 600_000,
      teachers: ["default"],
      replicas: { student: 1, teacher: 1, reward: 0, learner: 1 },
    });
    expect(run.phases).toMatchObject([
      {
        name: "gkd",
        firstStep: 1,
        lastStep: 10,
        batchSize: 32,
        samplesPerPrompt: 1,
        lambda: 0.5,
        lambdaEnd: 0.5,
        objective: {
          divergence: "jsd",
          beta: 0.5,
          alpha: 1,
          signal: "full",
          studentTemperature: 1,
          teacherTemperature: 1,
          normalisation: "sequence",
        },
        optimizer: {
          learningRate: 1e-3,
          schedule: "constant",
          warmupSteps: 0,
          weightDecay: 0,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          maxGradNorm: 1,
        },
        sampling: { temperature: 1, topK: 0, topP: 1, maxNewTokens: 128 },
      },
    ]);
  });

  it("keeps a 0 that was given: it is no missing value", () => {
    const optimizer = { maxGradNorm: 0, weightDecay: 0, beta1: 0 };
    const run = runOf([{ steps: 1, lambda: 0, objective: { alpha: 0, beta: 0 }, optimizer, sampling: { temperature: 0 } }], {
      rollouts: { maxStaleness: 0 },
    });
    expect(run.maxStaleness).toBe(0);
    expect(run.phases[0]).toMatchObject({
      lambda: 0,
      lambdaEnd: 0,
      objective: { alpha: 0, beta: 0 },
      optimizer,
      sampling: { temperature: 0 },
    });
  });

  it("lets what is given win over the preset, and that over the defaults", () => {
    const [phase] = runOf([{ steps: 1, preset: "opd", objective: { klCoef: 3, normalisation: "sequence" } }]).phases;
    expect(phase).toMatchObject({
      name: "opd",
      lambda: 1,
      objective: { divergence: "opd", klCoef: 3, normalisation: "sequence", beta: 0.5 },
    });
  });

  it("numbers the steps of its phases through", () => {
    const run = runOf([{ steps: 3 }, { steps: 1 }, { steps: 5 }]);
    expect(run.phases.map(({ firstStep, lastStep }) => [firstStep, lastStep])).toEqual([
      [1, 3],
      [4, 4],
      [5, 9],
    ]);
    expect([1, 3, 4, 5, 9].map((step) => run.phases.indexOf(phaseOf(run, step)))).toEqual([0, 0, 1, 2, 2]);
  });

  it("has reward processes only where a reward enters an objective, and a group baseline only where there are groups", () => {
    const rewarded = runOf([{ steps: 1 }, { steps: 1, preset: "rl", samplesPerPrompt: 4 }], {
      rewards: [{ kind: "length" }],
      roles: { reward: { replicas: 2 } },
    });
    expect(rewarded.replicas.reward).toBe(2);
    expect(rewarded.phases.map(({ objective }) => objective.baseline)).toEqual(["batch", "group"]);
    expect(runOf([{ steps: 1 }], { roles: { reward: { replicas: 2 } } }).replicas.reward).toBe(0);
  });
});

describe("lambdaAt()", () => {
  it("goes linearly from the first step's to the last's", () => {
    const [before, phase, single] = runOf([
      { steps: 2 },
      { steps: 5, lambda: 0, lambdaEnd: 1 },
      { steps: 1, lambda: 0.25, lambdaEnd: 1 },
    ]).phases;
    expect([1, 2].map((step) => lambdaAt(before!, step))).toEqual([0.5, 0.5]);
    expect([3, 4, 5, 6, 7].map((step) => lambdaAt(phase!, step))).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(lambdaAt(single!, 8)).toBe(0.25);
  });
});

describe("presets", () => {
  it.each(Object.keys(presets))("%s resolves, and asks for what its objective needs", (preset) => {
    const [phase] = runOf([{ steps: 1, preset }]).phases;
    const supervised = ["constant_advantage", "sft", "seq_kd"].includes(preset);
    expect(needsScore(phase!.objective)).toBe(!supervised && preset !== "rl");
    expect(needsReward(phase!.objective)).toBe(preset.startsWith("rl"));
    expect(phase!.lambda).toBe(presets[closedValue("PhaseSpec.preset", preset)].lambda);
  });

  it("stand in order of name", () => {
    expect(Object.keys(presets)).toEqual(Object.keys(presets).sort());
  });
});
