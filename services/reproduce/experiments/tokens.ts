import { accuracy } from "../plan/columns.js";
import { more } from "../plan/contrasts.js";
import type { Arm, Experiment, Part, Recipe, Training } from "../plan/experiment.js";
import { gkd } from "../plan/objectives.js";
import { gridNav, num2words, num2wordsTraining, quickTraining, training } from "../plan/recipes.js";

const share = 0.3;
const choices = {
  "first 30 %": "prefix",
  "last 30 %": "suffix",
  "30 % by entropy": "entropy",
  "30 % by divergence": "divergence",
  "30 % at random": "random",
};

const arms: readonly Arm[] = [
  { ...gkd("FKL", 1), name: "all tokens" },
  ...Object.entries(choices).map(
    ([name, by]): Arm => ({ name, phase: { preset: "gkd", lambda: 1, objective: { divergence: "forward_kl", tokens: { by, share } } } }),
  ),
];

const part = (recipe: Recipe, own: Training, quick: Part["quick"]): Part => ({
  recipe,
  training: own,
  quick,
  arms,
  columns: [...accuracy, { measure: "forwardKl", label: "KL(teacher‖student)" }, { measure: "reverseKl", label: "KL(student‖teacher)" }],
  figures: [
    {
      name: "gain",
      title: "Greedy gain over the SFT student by which tokens teach",
      kind: "bars",
      x: "tokens that count",
      y: "greedy gain",
      percent: true,
      series: [{ name: "greedy gain", points: arms.map(({ name }) => ({ arm: name, x: name, y: "gain" })) }],
    },
  ],
  orderings: [
    {
      id: "T1",
      says: "at equal tokens, those chosen by entropy or by divergence teach more than those drawn at random",
      contrasts: [more("30 % by entropy", "30 % at random", "gain"), more("30 % by divergence", "30 % at random", "gain")],
    },
    {
      id: "T2",
      says: "at equal tokens, the first of a completion teach more than the last",
      contrasts: [more("first 30 %", "last 30 %", "gain")],
    },
  ],
});

/** Controls of which tokens teach: the student writes all of them, and learns from a share. */
export const tokensExperiment: Experiment = {
  name: "tokens",
  title: "Which tokens teach",
  about:
    "On-policy forward KL on all completion tokens, and on 30 % of each completion's: the first, the last, those where the student's entropy or its divergence from the teacher is largest, and as many at random (objective.tokens). Papers report that the first 30 % give nearly all (2606.22600), and that half by entropy suffices (2604.14084).",
  parts: [part(num2words, num2wordsTraining, quickTraining), part(gridNav, training, quickTraining)],
};
