import { less, more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { type Divergence, gkd } from "../plan/objectives.js";
import { num2words, quickTraining, training } from "../plan/recipes.js";

const bounds = [0, 1, 4, 16, 64];
const compared: readonly Divergence[] = ["FKL", "RKL"];
const nameOf = (divergence: Divergence, bound: number): string => `${divergence}, staleness ≤ ${bound}`;
const arms: readonly Arm[] = compared.flatMap((divergence) =>
  bounds.map((bound) => ({
    ...gkd(divergence, 1),
    name: nameOf(divergence, bound),
    maxStaleness: bound,
    quick: bound === 1 ? divergence === "FKL" : [0, 64].includes(bound),
  })),
);

const over = (measure: string) =>
  compared.map((divergence) => ({
    name: divergence,
    points: bounds.map((bound) => ({ arm: nameOf(divergence, bound), x: bound, y: measure })),
  }));

/** AsyncOPD's question (arXiv 2606.24143): what do stale rollouts cost, and what do they buy? */
export const stalenessExperiment: Experiment = {
  name: "staleness",
  title: "Stale rollouts",
  about:
    "On-policy distillation with rollouts at most S versions old (`rollouts.maxStaleness`), forward and reverse KL: quality, and completion tokens per second. Its runs have the machine to themselves. AsyncOPD finds the teacher-weighted forward KL robust and the student-weighted reverse KL vulnerable.",
  alone: true,
  parts: [
    {
      recipe: num2words,
      training,
      quick: quickTraining,
      arms,
      columns: [
        { measure: "staleness", label: "mean staleness" },
        { measure: "greedy", label: "greedy", format: "percent" },
        { measure: "sampled", label: "at temperature 1", format: "percent" },
        { measure: "tokensPerSecond", label: "tokens per second" },
      ],
      figures: [
        {
          name: "quality",
          title: "Quality over the staleness bound",
          kind: "lines",
          x: "maxStaleness, versions",
          y: "greedy exact match",
          percent: true,
          series: over("greedy"),
        },
        {
          name: "throughput",
          title: "Throughput over the staleness bound",
          kind: "lines",
          x: "maxStaleness, versions",
          y: "completion tokens per second",
          series: over("tokensPerSecond"),
        },
      ],
      note: "One version costs no quality that shows: greedy, forward KL loses 0.9 ± 0.6 points against none and reverse KL gains 0.7 ± 1.4. Nor does reverse KL lose from 64, and a reason is at hand: the learner computes the student's distribution anew on every token of a stale sample, which AsyncOPD finds to be the best remedy. What is stale is only which prefixes are visited, and those seem to change little in 64 steps here.",
      orderings: [
        {
          id: "asynchronous",
          says: "a staleness of one version is faster",
          contrasts: compared.map((divergence) => more(nameOf(divergence, 1), nameOf(divergence, 0), "tokensPerSecond")),
        },
        {
          id: "AsyncOPD",
          says: "stale rollouts hurt reverse KL more than forward KL",
          contrasts: [
            less(nameOf("RKL", 64), nameOf("RKL", 0), "greedy"),
            {
              says: "loss of RKL > loss of FKL, from 0 to 64",
              measure: "greedy",
              value: (reading) =>
                reading(nameOf("RKL", 0), "greedy") -
                reading(nameOf("RKL", 64), "greedy") -
                (reading(nameOf("FKL", 0), "greedy") - reading(nameOf("FKL", 64), "greedy")),
            },
          ],
        },
      ],
    },
  ],
};
