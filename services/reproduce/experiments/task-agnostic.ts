import { more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { gkd, gkdName } from "../plan/objectives.js";
import { instructions, quickTraining, training } from "../plan/recipes.js";

const seqKd: Arm = { name: "SeqKD", written: "teacher", phase: { preset: "seq_kd" } };
const arms: readonly Arm[] = [
  { name: "more SFT", phase: { preset: "sft" }, quick: false },
  seqKd,
  gkd("FKL", 0),
  gkd("FKL", 1),
  gkd("RKL", 1),
];
const onPolicy = [gkdName("FKL", 1), gkdName("RKL", 1)];
const offPolicy = ["SeqKD", gkdName("FKL", 0)];

/** Paper, section 5 on task-agnostic distillation: instruction tuning on a mixture, measured on other tasks. */
export const taskAgnosticExperiment: Experiment = {
  name: "task-agnostic",
  title: "Task-agnostic distillation",
  about:
    "One student, instructed in words in ten kinds of list manipulation, distilled on the mixture on-policy and off-policy; measured on held-out instances of these kinds, and on four kinds that only the teacher was taught.",
  parts: [
    {
      recipe: instructions,
      training,
      quick: quickTraining,
      arms,
      also: { rows: "also-held-out", measures: { otherKinds: "check" } },
      columns: [
        { measure: "greedy", label: "held-out instances, greedy", format: "percent" },
        { measure: "sampled", label: "at temperature 1", format: "percent" },
        { measure: "otherKinds", label: "held-out kinds, greedy", format: "percent" },
        { measure: "forwardKl", label: "KL(teacher‖student)" },
      ],
      figures: [
        {
          name: "kinds",
          title: "Accuracy on the mixture and on other kinds",
          kind: "bars",
          x: "",
          y: "greedy accuracy",
          percent: true,
          series: [
            { name: "held-out instances", points: arms.map(({ name }) => ({ arm: name, x: name, y: "greedy" })) },
            { name: "held-out kinds", points: arms.map(({ name }) => ({ arm: name, x: name, y: "otherKinds" })) },
          ],
        },
      ],
      note: "An answer is at most seven symbols, nearly all of them decided by the instruction: there is little of a text of one's own to lose the way in, which is what on-policy distillation mends. After 1600 steps (one seed) the methods are as near to one another: 48.0 % (FKL, λ=0), 49.2 % (FKL, λ=1), 47.0 % (RKL, λ=1). The teacher's distribution is met better on-policy (forward KL) all the same; reverse KL trades it, and what carries over to other kinds, for samples that are right.",
      orderings: [
        {
          id: "O1",
          says: "on-policy > off-policy on held-out instances",
          contrasts: onPolicy.flatMap((arm) => offPolicy.map((other) => more(arm, other, "greedy"))),
        },
        {
          id: "task-agnostic",
          says: "on-policy > off-policy on kinds that the student was never taught",
          contrasts: onPolicy.flatMap((arm) => offPolicy.map((other) => more(arm, other, "otherKinds"))),
        },
      ],
    },
  ],
};
