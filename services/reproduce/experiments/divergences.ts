import { accuracy } from "../plan/columns.js";
import { ascending, descending, wider } from "../plan/contrasts.js";
import type { Arm, Column, Experiment, Part, Recipe } from "../plan/experiment.js";
import { divergenceNames, gkdName } from "../plan/objectives.js";
import { names, num2words, num2wordsTraining, quickTraining, temperatures } from "../plan/recipes.js";
import { byLambda, lambdaArms, lambdaGrid, onPolicyFirst } from "./by-lambda.js";

const onPolicy = divergenceNames.map((name) => gkdName(name, 1));

/** The same where only the examples of supervised fine-tuning have references, and beside it with references for every prompt. */
const withAll = (name: string): string => `${name}, all references`;
const fewReferenceArms: readonly Arm[] = lambdaArms.map((arm) => (onPolicy.includes(arm.name) ? arm : { ...arm, data: "few" }));
const allReferenceArms: readonly Arm[] = lambdaArms
  .filter(({ name }) => !onPolicy.includes(name))
  .map((arm) => ({ ...arm, name: withAll(arm.name), quick: false }));

/** With --quick only those arms that the orderings of names compare. */
const namesArms: readonly Arm[] = lambdaArms.map((arm) => (onPolicy.includes(arm.name) ? arm : { ...arm, quick: false }));

const allReferencesGrid = (title: string, measure: string) => {
  const grid = lambdaGrid(title, measure);
  return { ...grid, rows: ["λ=0.5", "λ=0"], arm: (row: string, column: string) => withAll(grid.arm(row, column)) };
};

const closeness: readonly Column[] = [
  { measure: "forwardKl", label: "KL(teacher‖student)" },
  { measure: "reverseKl", label: "KL(student‖teacher)" },
  { measure: "selfBleu", label: "Self-BLEU" },
  { measure: "entropy", label: "entropy" },
];

/** Quality over diversity as the evaluation temperature changes: one curve per divergence, on-policy. */
const tradeOff = (quality: string, label: string, percent: boolean) => ({
  name: "diversity",
  title: "Quality against diversity over evaluation temperature, on-policy",
  kind: "lines" as const,
  ordered: true,
  x: "Self-BLEU (less is more diverse)",
  y: label,
  percent,
  series: divergenceNames.map((name) => ({
    name,
    points: temperatures.map((t) => ({ arm: gkdName(name, 1), x: `selfBleu@${t}`, y: `${quality}@${t}` })),
  })),
});

/** O4, by two measures of diversity. */
const lessDiverse = [
  { id: "O4", says: "Self-BLEU at temperature 1 rises from FKL to RKL, on-policy", contrasts: ascending(onPolicy, "selfBleu") },
  { id: "O4", says: "the student's entropy per token falls from FKL to RKL, on-policy", contrasts: descending(onPolicy, "entropy") },
  {
    id: "O4",
    says: "the gap in diversity shrinks at low temperature",
    contrasts: [wider("spread of Self-BLEU at temperature 1 > at 0.4", [onPolicy, "selfBleu@1"], [onPolicy, "selfBleu@0.4"])],
  },
];

function part(recipe: Recipe, arms: readonly Arm[], rest: Omit<Part, "recipe" | "training" | "quick" | "arms">): Part {
  return { recipe, training: num2wordsTraining, quick: quickTraining, arms, ...rest };
}

/** The paper's comparison of divergences (figures 4 and A.13, table of GSM8K by λ and divergence). */
export const divergencesExperiment: Experiment = {
  name: "divergences",
  title: "Divergences compared",
  about:
    "Forward KL, JSD(β) and reverse KL at λ = 0, 0.5 and 1, from one SFT student: greedy quality, quality at temperature 1, and diversity (Agarwal et al. 2024, section 4).",
  parts: [
    part(num2words, [...fewReferenceArms, ...allReferenceArms], {
      columns: [...accuracy, ...closeness],
      grids: [
        lambdaGrid("Greedy gain over the SFT student, references for 150 of the 600 prompts", "gain"),
        lambdaGrid("Gain at temperature 1, references for 150 of the 600 prompts", "sampledGain"),
        allReferencesGrid("Greedy gain, references for all prompts", "gain"),
        allReferencesGrid("Gain at temperature 1, references for all prompts", "sampledGain"),
      ],
      note: "Only the examples of supervised fine-tuning have references; a step on the student's own samples uses any of the 600 prompts. With references for every prompt there is nothing left for on-policy distillation to add here: a number has one right spelling, and after its first mistake a sample is lost, so that its remaining states teach nothing that the reference does not. Where mistakes can be recovered from, the picture is another (`mathematics`, grid-nav).",
      figures: [
        byLambda("gain", "greedy gain", "greedy"),
        byLambda("sampledGain", "gain at temperature 1", "sampled"),
        tradeOff("sampled", "exact match", true),
      ],
      orderings: [
        onPolicyFirst,
        {
          id: "O3",
          says: "at temperature 1 quality FKL < JSD 0.1 < JSD 0.5 < JSD 0.9 < RKL, on-policy; greedy the divergence matters less",
          contrasts: [
            ...ascending(onPolicy, "sampled"),
            wider("spread over divergences at temperature 1 > greedy", [onPolicy, "sampled"], [onPolicy, "greedy"]),
          ],
        },
        ...lessDiverse,
      ],
    }),
    part(names, namesArms, {
      columns: [
        { measure: "sampled", label: "grammatical at temperature 1", format: "percent" },
        { measure: "teacherNll", label: "teacher NLL" },
        ...closeness,
      ],
      figures: [
        {
          ...tradeOff("teacherNll", "teacher NLL per token (less is better)", false),
        },
      ],
      orderings: [
        {
          id: "O3",
          says: "at temperature 1 the teacher's NLL of samples falls from FKL to RKL, on-policy",
          contrasts: descending(onPolicy, "teacherNll"),
        },
        ...lessDiverse,
      ],
      note: "Self-BLEU compares a name with 399 others, and nearly every run of its letters is in one of them: it stays at 0.70 whatever the divergence. The student's entropy, which was added when that was seen, tells the divergences apart.",
    }),
  ],
};
