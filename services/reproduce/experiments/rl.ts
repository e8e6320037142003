import { ascending, less, more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { names, quickTraining, training } from "../plan/recipes.js";

const alphas = [0, 0.1, 0.25, 0.5, 0.75, 1];
const nameOf = (alpha: number): string => `α=${alpha}`;
const arms = alphas.map(
  (alpha): Arm => ({
    name: nameOf(alpha),
    phase: { preset: "rl_gkd", objective: { divergence: "reverse_kl", alpha } },
    quick: [0, 0.25, 1].includes(alpha),
  }),
);

/** Paper, section 4 on RL fine-tuning with on-policy GKD: the trade between reward and the teacher. */
export const rlExperiment: Experiment = {
  name: "rl",
  title: "Reward against teacher",
  about:
    "(1 − α) · reward − α · KL(student‖teacher) on the student's own names. The reward is 1 for a name that ends in -a, which the teacher writes now and then. α = 1 is pure distillation, α = 0 pure reinforcement learning.",
  parts: [
    {
      recipe: names,
      training,
      quick: quickTraining,
      arms,
      rewards: [{ kind: "regex", pattern: "a$" }],
      columns: [
        { measure: "reward", label: "reward", format: "percent" },
        { measure: "teacherNll", label: "teacher NLL" },
        { measure: "reverseKl", label: "KL(student‖teacher)" },
        { measure: "selfBleu", label: "Self-BLEU" },
      ],
      figures: [
        {
          name: "trade",
          title: "Reward against distance from the teacher",
          kind: "lines",
          x: "KL(student‖teacher), nats per token, logarithmic",
          y: "reward",
          percent: true,
          logX: true,
          ordered: true,
          series: alphas.map((alpha) => ({
            name: nameOf(alpha),
            scatter: true,
            points: [{ arm: nameOf(alpha), x: "reverseKl", y: "reward" }],
          })),
        },
        {
          name: "diversity",
          title: "Diversity over α",
          kind: "lines",
          x: "α",
          y: "Self-BLEU",
          series: [{ name: "Self-BLEU", points: alphas.map((alpha) => ({ arm: nameOf(alpha), x: alpha, y: "selfBleu" })) }],
        },
      ],
      orderings: [
        {
          id: "O6",
          says: "the smaller α, the more reward and the further from the teacher",
          contrasts: [...ascending(alphas.map(nameOf).reverse(), "reward"), ...ascending(alphas.map(nameOf).reverse(), "reverseKl")],
        },
        {
          id: "O6",
          says: "pure reinforcement learning collapses: the teacher's NLL and Self-BLEU rise above the SFT student's",
          contrasts: [
            {
              says: "α=0 > SFT student",
              measure: "teacherNll",
              value: (reading) => reading("α=0", "teacherNll") - reading("α=0", "startTeacherNll"),
            },
            {
              says: "α=0 > SFT student",
              measure: "selfBleu",
              value: (reading) => reading("α=0", "selfBleu") - reading("α=0", "startSelfBleu"),
            },
          ],
        },
        {
          id: "O6",
          says: "α=0.25 has both more reward than the SFT student and a lower teacher NLL",
          contrasts: [
            {
              says: "α=0.25 > SFT student",
              measure: "reward",
              value: (reading) => reading("α=0.25", "reward") - reading("α=0.25", "startReward"),
            },
            {
              says: "α=0.25 < SFT student",
              measure: "teacherNll",
              value: (reading) => reading("α=0.25", "startTeacherNll") - reading("α=0.25", "teacherNll"),
            },
            less("α=0.25", "α=0", "teacherNll"),
            more("α=0.25", "α=1", "reward"),
          ],
        },
      ],
    },
  ],
};
