import { accuracy } from "../plan/columns.js";
import { more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { quickTraining, toolUse, training } from "../plan/recipes.js";

/** Turns of a solution, on average: steps on rows that are turns have as many of them as steps on whole episodes. */
const turnsEach = 3.5;

const shown = { data: "train-turns" } as const;
const batchSize = Math.round(turnsEach * training.batchSize);
const divergence = { divergence: "forward_kl" } as const;

const arms: readonly Arm[] = [
  { name: "more SFT", ...shown, phase: { preset: "sft", batchSize } },
  { name: "supervised KD", ...shown, phase: { preset: "supervised_kd", batchSize, objective: divergence } },
  { name: "on-policy", phase: { preset: "on_policy_kd", objective: divergence } },
];

/** On-policy distillation where a tool answers between the student's turns. */
export const turnsExperiment: Experiment = {
  name: "turns",
  title: "Several turns, with a tool",
  about:
    "Sums that are done from left to right, a call of a calculator to a step (`environment: { kind: calculator }`). On-policy, the student calls the tool itself and reads what comes back, wrong calls and their results among it, and the teacher scores the student's tokens behind them. Off-policy, it is shown the turns of right solutions, as many of them per step as the episodes have turns. An answer counts as right if it equals the reference; every student is measured with the tool.",
  parts: [
    {
      recipe: toolUse,
      training,
      quick: quickTraining,
      arms,
      columns: [
        ...accuracy,
        { measure: "forwardKl", label: "KL(teacher‖student)" },
        { measure: "reverseKl", label: "KL(student‖teacher)" },
      ],
      figures: [
        {
          name: "success",
          title: "Episodes that end with the right answer",
          kind: "bars",
          x: "trained on",
          y: "greedy success",
          percent: true,
          series: [{ name: "greedy", points: arms.map(({ name }) => ({ arm: name, x: name, y: "greedy" })) }],
        },
      ],
      orderings: [
        {
          id: "M1",
          says: "a student that calls the tool itself learns more of it than one that is shown right solutions",
          contrasts: [more("on-policy", "supervised KD", "gain"), more("on-policy", "more SFT", "gain")],
        },
      ],
    },
  ],
};
