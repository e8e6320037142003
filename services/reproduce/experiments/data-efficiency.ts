import { accuracy } from "../plan/columns.js";
import { more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { gkd, gkdName } from "../plan/objectives.js";
import { gridNav, quickTraining, training } from "../plan/recipes.js";

const shares = [0.05, 0.1, 0.2, 1];
const nameOf = (share: number): string => (share === 1 ? gkdName("FKL", 1) : `on-policy, ${100 * share} % of the prompts`);
const supervised = gkdName("FKL", 0);
const onPolicy = shares.map(
  (share): Arm => ({ ...gkd("FKL", 1), name: nameOf(share), ...(share < 1 ? { share } : {}), quick: share !== 0.1 }),
);

/** Paper, figure on data efficiency: on-policy on 5 % of XSum's prompts beats supervised KD on all of XSum. */
export const dataEfficiencyExperiment: Experiment = {
  name: "data-efficiency",
  title: "Few prompts without references against all with references",
  about:
    "On-policy distillation (forward KL) on the first 5 to 20 % of the prompts, whose references it never sees, against supervised distillation on all of them with references, at equal steps.",
  parts: [
    {
      recipe: gridNav,
      training,
      quick: quickTraining,
      arms: [gkd("FKL", 0), ...onPolicy],
      columns: accuracy,
      figures: [
        {
          name: "share",
          title: "Gain over the share of the prompts",
          kind: "lines",
          x: "share of the prompts, %",
          y: "greedy gain",
          percent: true,
          series: [
            { name: "on-policy, no references", points: shares.map((share) => ({ arm: nameOf(share), x: 100 * share, y: "gain" })) },
            { name: "supervised KD, all references", points: [5, 100].map((x) => ({ arm: supervised, x, y: "gain" })) },
          ],
        },
      ],
      note: "5 % are 45 prompts here (in XSum about 10,000), each seen 570 times in 400 steps: too few ways to learn the grid from.",
      orderings: [
        {
          id: "O5",
          says: "on-policy on a small share of the prompts, without references, > supervised KD on all",
          contrasts: shares.map((share) => more(nameOf(share), supervised, "gain")),
        },
      ],
    },
  ],
};
