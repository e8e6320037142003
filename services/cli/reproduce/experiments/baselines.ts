import { more } from "../contrasts.js";
import type { Arm, Experiment } from "../experiment.js";
import { gkd } from "../objectives.js";
import { num2words, quickTraining } from "../recipes.js";
import { num2wordsTraining } from "./divergences.js";

// Arms that are those of `divergences` under another name share their runs: the spec is the same.
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

/** Paper, figures 1 and 7: GKD against the methods before it. */
export const baselinesExperiment: Experiment = {
  name: "baselines",
  title: "Methods from one SFT checkpoint",
  about:
    "Every method from the same student and prompts, at equal optimiser steps. FLOPs are estimated (2 per parameter and token forward, 4 backward; student sampling and teacher scoring counted, evaluation not). Seconds are those of the optimiser steps, measured beside as many other runs as were asked for.",
  parts: [
    {
      recipe: num2words,
      training: num2wordsTraining,
      quick: quickTraining,
      arms,
      columns: [
        { measure: "greedy", label: "greedy", format: "percent" },
        { measure: "sampled", label: "at temperature 1", format: "percent" },
        { measure: "gain", label: "gain, greedy", format: "percent" },
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
          series: arms.map(({ name }) => ({ name, scatter: true, points: [{ arm: name, x: "flops", y: "gain" }] })),
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
    },
  ],
};
