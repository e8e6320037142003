import { accuracy } from "../plan/columns.js";
import { more } from "../plan/contrasts.js";
import type { Arm, Experiment, Part, Recipe, Training } from "../plan/experiment.js";
import { gkd } from "../plan/objectives.js";
import { gridNav, num2words, num2wordsTraining, quickTraining, training } from "../plan/recipes.js";

// Arms that are those of other experiments under another name share their runs: the spec is the same.
const arms: readonly Arm[] = [
  { name: "more SFT", phase: { preset: "sft" } },
  { name: "SeqKD", written: "teacher", phase: { preset: "seq_kd" } },
  { ...gkd("FKL", 0), name: "supervised KD" },
  { ...gkd("FKL", 0.5), name: "ImitKD", quick: false },
  { name: "f-distill (TVD)", phase: { preset: "f_distill" }, quick: false },
  { ...gkd("FKL", 1), name: "on-policy GKD, FKL" },
  { ...gkd("RKL", 1), name: "on-policy GKD, RKL" },
];
const offPolicy = ["more SFT", "SeqKD", "supervised KD"];
/** Those that use references; the teacher writes SeqKD's texts for every prompt. */
const referring = ["more SFT", "supervised KD", "ImitKD", "f-distill (TVD)"];

const part = (recipe: Recipe, own: Training, quick: Part["quick"], compared: readonly Arm[]): Part => ({
  recipe,
  training: own,
  quick,
  arms: compared,
  columns: [
    ...accuracy,
    { measure: "flops", label: "training", format: "flops" },
    { measure: "seconds", label: "steps", format: "seconds" },
  ],
  figures: [
    {
      name: "cost",
      title: "Greedy gain over training cost",
      kind: "lines",
      x: "training FLOPs",
      y: "greedy gain",
      percent: true,
      series: compared.map(({ name }) => ({ name, scatter: true, points: [{ arm: name, x: "flops", y: "gain" }] })),
    },
  ],
  orderings: [
    {
      id: "O7",
      says: "more SFT < supervised KD, SeqKD < on-policy",
      contrasts: [
        more("SeqKD", "more SFT", "gain"),
        more("supervised KD", "more SFT", "gain"),
        ...offPolicy.map((name) => more("on-policy GKD, FKL", name, "gain")),
        more("on-policy GKD, FKL", "ImitKD", "gain"),
      ],
    },
  ],
});

/** Paper, figures 1 and 7: GKD against the methods before it. */
export const baselinesExperiment: Experiment = {
  name: "baselines",
  title: "Methods from one SFT checkpoint",
  about:
    "Every method from the same student, at equal optimiser steps. On num2words only the 150 examples of supervised fine-tuning have references, and SeqKD's teacher writes texts for all 600 prompts; on grid-nav every prompt has a reference. FLOPs are estimated (2 per parameter and token forward, 4 backward; student sampling and teacher scoring counted, evaluation not). Seconds are those of the optimiser steps, measured beside as many other runs as were asked for.",
  parts: [
    part(
      num2words,
      num2wordsTraining,
      false,
      arms.map((arm) => (referring.includes(arm.name) ? { ...arm, data: "few" } : arm)),
    ),
    part(gridNav, training, quickTraining, arms),
  ],
};
