import { more } from "../plan/contrasts.js";
import type { Arm, Experiment, Part, Recipe } from "../plan/experiment.js";
import { divergences } from "../plan/objectives.js";
import { calculator, gridNav, quickTraining, training } from "../plan/recipes.js";

const ks = [1, 4, 16, 64];
/** As many completions in a step as the other arms have, in groups that give the reward its baseline. */
const groups = { batchSize: 16, samplesPerPrompt: 4 };
const offPolicy: Arm = { name: "off-policy", written: "teacher", phase: { preset: "seq_kd" } };
const next = (name: string, phase: Arm["phase"], more: Partial<Arm> = {}): Arm => ({
  name: `off-policy, then ${name}`,
  from: "off-policy",
  phase,
  ...more,
});
const onPolicyPhase = { preset: "gkd", lambda: 1, objective: { ...divergences.RKL } };
const slowly = training.learningRate / 10;
const rewarded = ["off-policy, then RL", "off-policy, then RL, a tenth of the learning rate"];

const arms: readonly Arm[] = [
  offPolicy,
  next("more of it", offPolicy.phase, { written: "teacher" }),
  next("RL", { preset: "rl", ...groups }),
  next("RL, a tenth of the learning rate", { preset: "rl", ...groups }, { learningRate: slowly, quick: false }),
  next("on-policy", onPolicyPhase),
  next("on-policy and RL", { preset: "rl_gkd", objective: { ...divergences.RKL, alpha: 0.5 }, ...groups }, { quick: false }),
  { name: "on-policy alone, twice as long", phase: onPolicyPhase, stepShare: 2, quick: false },
];

const part = (recipe: Recipe, rest: Pick<Part, "quick" | "note">): Part => ({
  recipe,
  training: { ...training, rows: 100, samplesPerPrompt: 64, passAt: ks },
  arms,
  ...rest,
  columns: [
    { measure: "greedy", label: "greedy", format: "percent" },
    ...ks.map((k) => ({ measure: `pass@${k}`, label: `pass@${k}`, format: "percent" as const })),
    { measure: "flops", label: "last stage", format: "flops" },
    { measure: "seconds", label: "last stage", format: "seconds" },
  ],
  figures: [
    {
      name: "pass",
      title: "pass@k",
      kind: "bars",
      x: "",
      y: "pass@k",
      percent: true,
      series: arms.map(({ name }) => ({ name, points: ks.map((k) => ({ arm: name, x: `k=${k}`, y: `pass@${k}` })) })),
    },
  ],
  orderings: [
    {
      id: "Table 21",
      says: "after off-policy distillation, on-policy > RL > nothing more, and on-policy raises pass@64 too",
      contrasts: [
        ...rewarded.map((rl) => more("off-policy, then on-policy", rl, "greedy")),
        ...rewarded.map((rl) => more(rl, "off-policy", "greedy")),
        more("off-policy, then on-policy", "off-policy, then more of it", "greedy"),
        more("off-policy, then on-policy", "off-policy", "pass@64"),
        ...rewarded.map((rl) => more("off-policy, then on-policy", rl, "pass@64")),
      ],
    },
    {
      id: "order",
      says: "off-policy, then on-policy > either alone for as long",
      contrasts: [
        more("off-policy, then on-policy", "off-policy, then more of it", "pass@1"),
        more("off-policy, then on-policy", "on-policy alone, twice as long", "pass@1"),
      ],
    },
  ],
});

/** After Table 21 of the Qwen3 technical report (arXiv 2505.09388). */
export const offVsOnPolicyExperiment: Experiment = {
  name: "off-vs-on-policy",
  title: "Off-policy, reinforcement learning, on-policy",
  about:
    "From one student distilled off-policy (on texts that the teacher wrote): more of it, reinforcement learning, on-policy distillation, or both, at equal steps. Cost is that of the last stage. Qwen3-8B, AIME'24 and pass@64: off-policy 55.0 and 90.0; then RL 67.6 and 90.0 at 17,920 GPU hours; then on-policy instead 74.4 and 93.3 at 1,800 GPU hours.",
  parts: [
    part(calculator, {
      quick: { ...quickTraining, rows: 50 },
      note: "An answer here is one of ten digits: who guesses at random passes in one of 64 samples nearly always, so that pass@64 measures how much a student still guesses. At the learning rate of the other arms, reinforcement learning without the teacher ends in writing the same whatever happens (greedy and pass@64 are equal): with a reward of 0 or 1 that few samples earn, it collapses; therefore it stands there at a tenth of that rate, too.",
    }),
    part(gridNav, {
      quick: false,
      note: "Greedy is by the task's check; pass@k asks for the one of several right ways that the reference takes, so that it says how much of the teacher's variety a student still has. At a tenth of the learning rate the picture is the report's: reinforcement learning raises what is right at once and not pass@64, on-policy distillation both. On-policy alone for as long is better still: a student that is right on 35 % before any distillation needs no off-policy start.",
    }),
  ],
};
