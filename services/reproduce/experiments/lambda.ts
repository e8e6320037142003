import { descending } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { gkd, gkdName } from "../plan/objectives.js";
import { gridNav, quickTraining, training } from "../plan/recipes.js";

const lambdas = [0, 0.1, 0.25, 0.5, 0.75, 1];
const curve = lambdas.map((lambda) => gkd("FKL", lambda, { quick: [0, 0.5, 1].includes(lambda) }));

/** How many times rollouts are refreshed in the arm between never and every step: with 400 steps, every 100. */
const refreshes = 4;
const never = "rollouts sampled once";
const sometimes = `rollouts refreshed ${refreshes} times`;
const everyStep = gkdName("FKL", 1);

const once: Arm = { name: never, written: "start", phase: { preset: "supervised_kd" } };

/** Runs in a row, each on texts that the student of the one before wrote once. */
const segments: readonly Arm[] = Array.from({ length: refreshes }, (_, i) => ({
  ...once,
  name: i === refreshes - 1 ? sometimes : `${sometimes}, part ${i + 1}`,
  hidden: i < refreshes - 1,
  quick: false,
  stepShare: 1 / refreshes,
  ...(i > 0 ? { from: `${sometimes}, part ${i}` } : {}),
}));

/** Paper, figure on the share of on-policy data; and how fresh that data must be. */
export const lambdaExperiment: Experiment = {
  name: "lambda",
  title: "The share of the student's own samples",
  about: `Forward KL over λ, the share of steps on the student's own samples; and how old these samples may be: sampled once from the SFT student, once per quarter of the run (runs in a row, each from the student before and with a fresh optimiser), or anew at every step (λ=1). The learning rate is constant, so that a run in parts is like a run in one. Accuracies are compared, not gains: every arm begins with the same student, and the last part of a run in parts with another.`,
  parts: [
    {
      recipe: gridNav,
      training: { ...training, schedule: "constant", warmupSteps: 0 },
      quick: quickTraining,
      arms: [...curve, once, ...segments],
      columns: [
        { measure: "greedy", label: "greedy", format: "percent" },
        { measure: "sampled", label: "at temperature 1", format: "percent" },
        { measure: "forwardKl", label: "KL(teacher‖student)" },
      ],
      figures: [
        {
          name: "curve",
          title: "Greedy accuracy over λ, forward KL",
          kind: "lines",
          x: "λ",
          y: "greedy accuracy",
          percent: true,
          series: [{ name: "greedy", points: lambdas.map((lambda) => ({ arm: gkdName("FKL", lambda), x: lambda, y: "greedy" })) }],
        },
        {
          name: "refresh",
          title: "Greedy accuracy by the age of the rollouts",
          kind: "bars",
          x: "rollouts sampled",
          y: "greedy accuracy",
          percent: true,
          series: [
            {
              name: "greedy",
              points: [
                { arm: never, x: "once", y: "greedy" },
                { arm: sometimes, x: `${refreshes} times`, y: "greedy" },
                { arm: everyStep, x: "at every step", y: "greedy" },
              ],
            },
          ],
        },
      ],
      orderings: [
        {
          id: "O2",
          says: "accuracy grows with λ",
          contrasts: descending(
            [...lambdas].reverse().map((lambda) => gkdName("FKL", lambda)),
            "greedy",
          ),
        },
        { id: "O2", says: "fresher rollouts give more", contrasts: descending([everyStep, sometimes, never], "greedy") },
      ],
    },
  ],
};
