import { accuracy } from "../plan/columns.js";
import { more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { divergences } from "../plan/objectives.js";
import { quickTraining, toolUse, training } from "../plan/recipes.js";

/** Turns of a solution: steps on rows that are turns have as many of them as steps on whole episodes. */
const turnsEach = 2;
const batchSize = turnsEach * training.batchSize;

const onPolicy = (name: "FKL" | "RKL"): Arm => ({
  name: `on-policy, ${name}`,
  phase: { preset: "on_policy_kd", objective: { ...divergences[name] } },
});
const supervised = { preset: "supervised_kd", batchSize, objective: { ...divergences.FKL } };

const arms: readonly Arm[] = [
  { name: "supervised KD, 150 solutions", data: "sft", phase: supervised },
  { name: "supervised KD, 1500 solutions", data: "train-turns", phase: supervised },
  onPolicy("FKL"),
  onPolicy("RKL"),
];
const [few = "", all = "", ...own] = arms.map(({ name }) => name);

/** On-policy distillation where a tool answers between the student's turns. */
export const turnsExperiment: Experiment = {
  name: "turns",
  title: "Several turns, with a tool",
  about:
    "Sums that a calculator is asked for (`environment: { kind: calculator }`): a call with the right brackets, and the answer. A call whose brackets don't match is answered with an error, and may be made again, in five turns at most. On-policy, the student calls the tool itself, and the teacher scores the student's tokens behind its own wrong calls. Off-policy, it is shown the turns of right solutions, as many per step as the episodes have turns: those that it began with, or as a control ten times as many. An episode counts if it ends with the right answer; every student is measured with the tool.",
  parts: [
    {
      recipe: toolUse,
      training: { ...training, steps: 200 },
      quick: quickTraining,
      arms,
      columns: [
        ...accuracy,
        { measure: "forwardKl", label: "KL(teacher‖student)" },
        { measure: "reverseKl", label: "KL(student‖teacher)" },
        { measure: "tokens", label: "tokens trained on" },
      ],
      figures: [
        {
          name: "success",
          title: "Episodes that end with the right answer",
          kind: "bars",
          x: "trained on",
          y: "success",
          percent: true,
          series: ["greedy", "sampled"].map((measure) => ({
            name: measure === "greedy" ? "greedy" : "at temperature 1",
            points: arms.map(({ name }) => ({ arm: name, x: name, y: measure })),
          })),
        },
      ],
      orderings: [
        {
          id: "T1",
          says: "on-policy, without further solutions, > supervised on the solutions that there are",
          contrasts: own.map((name) => more(name, few, "gain")),
        },
        {
          id: "T2",
          says: "on-policy > supervised on solutions of every problem, greedy and at temperature 1",
          contrasts: own.flatMap((name) => [more(name, all, "gain"), more(name, all, "sampled")]),
        },
      ],
    },
  ],
};
