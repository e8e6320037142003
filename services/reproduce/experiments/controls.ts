import { accuracy } from "../plan/columns.js";
import { less, more } from "../plan/contrasts.js";
import type { Arm, Column, Experiment, Part, Recipe, Training } from "../plan/experiment.js";
import { calculator, num2words, quickTraining, training } from "../plan/recipes.js";

const constant = "constant advantage";
const slowly = "constant advantage, a tenth of the learning rate";

const arms: readonly Arm[] = [
  { name: "more SFT", data: "few", phase: { preset: "sft" } },
  { name: constant, phase: { preset: "constant_advantage" } },
  { name: slowly, phase: { preset: "constant_advantage" }, learningRate: training.learningRate / 10 },
  { name: "sampled RKL", phase: { preset: "opd" } },
  { name: "RKL", phase: { preset: "gkd", lambda: 1, objective: { divergence: "reverse_kl" } } },
  { name: "FKL", phase: { preset: "gkd", lambda: 1, objective: { divergence: "forward_kl" } } },
];
const taught = ["sampled RKL", "RKL", "FKL"];
const controls = [constant, slowly];

const columns: readonly Column[] = [
  ...accuracy,
  { measure: "pass@8", label: "pass@8", format: "percent" },
  { measure: "confidence", label: "confidence", format: "percent" },
  { measure: "calibrationError", label: "calibration error" },
  { measure: "forwardKl", label: "KL(teacher‖student)" },
  { measure: "overlapFirst", label: "top classes shared, at the first step", format: "percent" },
  { measure: "overlapLast", label: "at the last", format: "percent" },
];

const part = (recipe: Recipe): Part => ({
  recipe,
  training: { ...training, samplesPerPrompt: 8, passAt: [1, 8] } satisfies Training,
  quick: quickTraining,
  arms,
  columns,
  figures: [
    {
      name: "gain",
      title: "Gain over the SFT student, greedy and at temperature 1",
      kind: "bars",
      x: "",
      y: "gain",
      percent: true,
      series: ["gain", "sampledGain"].map((measure) => ({
        name: measure === "gain" ? "greedy" : "at temperature 1",
        points: arms.map(({ name }) => ({ arm: name, x: name, y: measure })),
      })),
    },
  ],
  orderings: [
    {
      id: "K1",
      says: "a teacher gives more than a constant advantage in its place, greedy",
      contrasts: taught.flatMap((name) => controls.map((control) => more(name, control, "gain"))),
    },
    {
      id: "K2",
      says: "at temperature 1 it does so too, though without a teacher the student grows surer of what it does already",
      contrasts: taught.flatMap((name) => controls.map((control) => more(name, control, "sampledGain"))),
    },
    {
      id: "K3",
      says: "forward KL leaves the student better calibrated than reverse KL, and both better than no teacher",
      contrasts: [
        less("FKL", "RKL", "calibrationError"),
        ...taught.slice(1).flatMap((name) => controls.map((control) => less(name, control, "calibrationError"))),
      ],
    },
    {
      id: "K4",
      says: "teacher and student share more of their most probable classes at the last step than at the first",
      contrasts: taught.slice(1).map((name) => ({
        says: `${name}, last > first`,
        measure: "overlapLast",
        value: (reading) => reading(name, "overlapLast") - reading(name, "overlapFirst"),
      })),
    },
  ],
});

/** What a table of distillation is open to without: how much of a gain is the teacher's, and what it costs in calibration. */
export const controlsExperiment: Experiment = {
  name: "controls",
  title: "Controls: no teacher, calibration, shared classes",
  about:
    "From one SFT student, at equal steps: a constant negative advantage on tokens that the student finds improbable, which asks no teacher (preset constant_advantage, 2608.31046), beside on-policy distillation. Confidence is the geometric mean of a sample's token probabilities at temperature 1; the calibration error is the expected one over ten bins (Guo et al. 2017; what distillation costs of it: 2604.16830). Top classes shared: the share of the teacher's most probable classes that are among the student's, per token of its samples (2604.13016).",
  parts: [part(num2words), part(calculator)],
};
