import type { CheckedRun } from "../../../../services/controller/check/checked-run.js";
import { settingsWarnings } from "../../../../services/controller/check/settings-warnings.js";
import { resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import { soundParts } from "../../../../services/shared/flow/runs/sound-spec.js";
import { smolLm2 } from "../../../support/models/known-shapes.js";
import { specOf } from "../../../support/runs/run-spec.js";

/** Warnings of one phase of on-policy distillation of SmolLM2-135M, with other settings in place of usual ones. */
function warned(phase: object, student: object = { model: "/student" }, adapted = false, roles: object = {}): [string, string][] {
  const usual = { preset: "on_policy_kd", steps: 100, optimizer: { learningRate: 1e-4, warmupSteps: 5 } };
  const { spec } = soundParts(specOf({ student, roles, phases: [{ ...usual, ...phase }] }));
  const config = "init" in student ? undefined : smolLm2;
  const checked = { spec, run: resolveRun(spec), student: { config, rows: 49_152, adapted } as CheckedRun["student"], teachers: [] };
  return settingsWarnings(checked).map(({ field, message }) => [field, message]);
}

const lora = { model: "/student", lora: {} };
const sizes = { hiddenSize: 2048, intermediateSize: 8192, layers: 24, heads: 32, kvHeads: 8 };
const scratch = { init: { architecture: "llama", ...sizes } };
const rate = (learningRate: number) => ({ optimizer: { learningRate } });

describe("settingsWarnings()", () => {
  it("finds nothing unusual in what is usual", () => {
    expect(warned({})).toEqual([]);
    expect(warned(rate(1e-3), lora)).toEqual([]);
    expect(warned(rate(3e-4), scratch)).toEqual([]);
    expect(warned({ sampling: { temperature: 0.9, topK: 50 }, samplesPerPrompt: 4, batchSize: 1 })).toEqual([]);
    expect(warned({ preset: "sft", sampling: { temperature: 0 } })).toEqual([]);
    expect(warned({ preset: "rl", samplesPerPrompt: 4 })).toEqual([]);
    expect(warned({ preset: "rl", ...rate(1e-6) }, lora)).toEqual([]);
  });

  it.each([
    [
      "the default, for all weights of a model that is trained",
      {},
      undefined,
      /^is 0\.001, the default; about 1\.5e-4 is usual for all weights of a trained model of 135M parameters: .*student\.lora/,
    ],
    [
      "a high one of an adapter",
      rate(1e-2),
      lora,
      /^is 0\.01; about 1\.5e-3 is usual for an adapter of a model of 135M parameters: it may forget/,
    ],
    [
      "one of full training for an adapter",
      rate(5e-5),
      lora,
      /^is 0\.00005; about 1\.5e-3 is usual for an adapter .*: it will hardly learn/,
    ],
    [
      "the default, for a large model from scratch",
      {},
      scratch,
      /^is 0\.001, the default; about 1\.8e-4 is usual for a model from scratch of 1\.5\dB parameters: it may diverge/,
    ],
  ])("names a learning rate that is far from usual: %s", (_, optimizer, student, message) => {
    expect(warned({ optimizer: {}, ...optimizer }, student)).toEqual([
      ["phases[0].optimizer.learningRate", expect.stringMatching(message)],
    ]);
  });

  it("knows of no usual rate for models of less than a million parameters", () => {
    const tiny = { init: { architecture: "llama", hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 2 } };
    expect(warned(rate(1), tiny)).toEqual([]);
  });

  it("takes the directory of an adapter for an adapter", () => {
    expect(warned(rate(1e-3), undefined, true)).toEqual([]);
  });

  it.each([
    [100, 100, /^is 100, and the phase has 100 steps: the learning rate gets to 9\.9e-5 and never to 0\.0001; at most 10 /],
    [500, 100, /gets to 2\.0e-5 and never to 0\.0001/],
    [1, 1, /gets to 0 and never to 0\.0001; at most 0 /],
  ])("names a warm-up of %d steps in a phase of %d", (warmupSteps, steps, message) => {
    const optimizer = { learningRate: 1e-4, warmupSteps };
    expect(warned({ steps, optimizer })).toEqual([["phases[0].optimizer.warmupSteps", expect.stringMatching(message)]]);
    expect(warned({ steps: warmupSteps + 1, optimizer })).toEqual([]);
  });

  it.each([
    ["temperature", { temperature: 0 }, /^is 0: the student is trained on the one text of each prompt that it finds most probable, and/],
    ["temperature", { temperature: 0.05 }, /^is 0\.05/],
    ["topK", { topK: 1 }, /^is 1: .*; 1, untruncated, is usual$/],
  ])("names greedy samples to train on, by sampling.%s", (name, sampling, message) => {
    expect(warned({ sampling })).toEqual([[`phases[0].sampling.${name}`, expect.stringMatching(message)]]);
    const [[, several] = []] = warned({ sampling, samplesPerPrompt: 4 });
    expect(several).toContain("4 times the same");
    expect(warned({ sampling, lambda: 0, lambdaEnd: 0.5 })).toHaveLength(1);
    expect(warned({ sampling, preset: "supervised_kd" })).toEqual([]);
  });

  it("names products in half precision on a CPU, where they are slower", () => {
    const phase = { optimizer: { learningRate: 1e-4, warmupSteps: 5, computeDtype: "bfloat16" } };
    const [[field, message]] = warned(phase) as [[string, string]];
    expect(field).toBe("phases[0].optimizer.computeDtype");
    expect(message).toMatch(/^is bfloat16, and the learner is on a CPU, .*slower than float32.*roles\.learner\.device: cuda/);
    expect(warned(phase, { model: "/student" }, false, { learner: { device: "cuda" } })).toEqual([]);
  });

  it("names a step of few sequences, whatever they are made of", () => {
    expect(warned({ batchSize: 1 })).toEqual([
      ["phases[0].batchSize", expect.stringMatching(/^is 1: a step of 1 sequence follows noise; 32/)],
    ]);
    expect(warned({ batchSize: 1, samplesPerPrompt: 3 })[0]?.[1]).toMatch(/^is 1 \(samplesPerPrompt 3\): a step of 3 sequences/);
    expect(warned({ batchSize: 4 })).toEqual([]);
  });

  it("names rewards that cancel out against their own mean", () => {
    const objective = { baseline: "group" };
    expect(warned({ preset: "rl", objective })).toEqual([["phases[0].objective.baseline", expect.stringMatching(/^is group, .*is 0/)]]);
    expect(warned({ preset: "rl", objective, samplesPerPrompt: 4 })).toEqual([]);
    expect(warned({ preset: "on_policy_kd", objective })).toEqual([]);
  });
});
