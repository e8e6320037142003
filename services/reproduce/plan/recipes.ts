import type { ModelRecipe, Recipe, Training } from "./experiment.js";

/**
 * The rule by which sizes were chosen, before any result of distillation was seen: the teacher (50,000 to 210,000 parameters)
 * trains until it is right on at least 90 % of the task; of a few student sizes and numbers of examples the first is taken
 * with which the SFT student is right, greedy, on 15 to 45 %. What else was tried stands at each recipe.
 */
const teacher: ModelRecipe = {
  hiddenSize: 64,
  intermediateSize: 176,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  initializerRange: 0.02,
  steps: 1500,
  batchSize: 64,
  learningRate: 3e-3,
};
const student: ModelRecipe = {
  hiddenSize: 24,
  intermediateSize: 48,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  initializerRange: 0.1,
  steps: 1000,
  batchSize: 64,
  learningRate: 1e-2,
};

/** Numbers in words: one right answer each. */
export const num2words: Recipe = {
  name: "num2words",
  task: "num2words",
  train: 600,
  sft: 150,
  variants: 1,
  maxNewTokens: 34,
  maxPositions: 64,
  judge: "exact_match",
  teacher: { ...teacher, steps: 1200 },
  student: { ...student, hiddenSize: 16, intermediateSize: 32, heads: 2, steps: 1500 },
  sizes: "Sizes as in `retort demo`, chosen by the SFT student's accuracy alone (40 % greedy with 150 examples).",
};

/** Numbers in words, and a few words in numbers: two domains, each with a teacher of its own. */
export const numerals: Recipe = {
  ...num2words,
  name: "numerals",
  task: "numerals",
  domains: ["words", "digits"],
  train: 800,
  sft: 240,
  sizes: "Sizes as on num2words, with 240 examples for the two domains together.",
};

/** Ways over a grid: many are right, and mistakes can be mended. */
export const gridNav: Recipe = {
  name: "grid-nav",
  task: "grid-nav",
  train: 900,
  sft: 450,
  variants: 4,
  maxNewTokens: 18,
  maxPositions: 64,
  judge: "task",
  teacher,
  student,
  sizes:
    "Sizes were chosen by the SFT student's accuracy alone: with 200 examples 4 % (width 16) and 5 % (width 32), with 900 examples 65 % (width 24); 450 examples and width 24 lie between.",
};

/** Names by a grammar: open-ended, so that diversity shows. */
export const names: Recipe = {
  name: "names",
  task: "names",
  train: 2000,
  sft: 200,
  variants: 1,
  maxNewTokens: 10,
  maxPositions: 32,
  judge: "task",
  teacher: { ...teacher, hiddenSize: 48, intermediateSize: 128, steps: 800 },
  student: { ...student, hiddenSize: 6, intermediateSize: 12, heads: 1, kvHeads: 1, steps: 300 },
  sizes:
    "Accuracy is the share of names that the grammar allows, of which any are right; greedy there is one name for each letter, so that sizes were chosen by the SFT student's accuracy at temperature 1 alone (width 4: 4 %, 6: 36 %, 8: 56 %, 16: 79 %).",
};

/** Sums with their steps written out. */
export const calculator: Recipe = {
  name: "calculator",
  task: "calculator",
  train: 2600,
  sft: 300,
  variants: 3,
  maxNewTokens: 40,
  maxPositions: 64,
  judge: "task",
  metric: "numeric",
  teacher: { ...teacher, steps: 2000 },
  student: { ...student, steps: 1500 },
  sizes: "Sizes were chosen by the SFT student's accuracy alone (first try: 16 % greedy).",
};

/** Summaries of reports, with a classifier as judge. */
export const summaries: Recipe = {
  name: "summaries",
  task: "summaries",
  train: 2600,
  sft: 300,
  variants: 3,
  maxNewTokens: 10,
  maxPositions: 64,
  judge: "task",
  metric: "rouge_l",
  teacher: { ...teacher, hiddenSize: 96, intermediateSize: 256, steps: 3000, learningRate: 2e-3 },
  student,
  classifier: { variants: 8, epochs: 4, batchSize: 64, learningRate: 1e-3, warmup: 0.1, seed: 1 },
  sizes:
    "Accuracy is faithfulness. The teacher is wider than elsewhere (width 64, 1500 steps: 72 %) and yet short of the 90 % asked for; the student's sizes were chosen by the SFT student's faithfulness alone (first try: 35 % greedy); the classifier's texts and epochs by its accuracy alone (2 variants, 3 epochs: 60 %).",
};

/** Instructions to change lists, some kinds of which only the teacher learns. */
export const instructions: Recipe = {
  name: "instructions",
  task: "instructions",
  alsoTaught: "instructions-held-out",
  train: 2500,
  sft: 600,
  variants: 1,
  maxNewTokens: 8,
  maxPositions: 32,
  judge: "task",
  teacher: { ...teacher, steps: 2000 },
  student,
  sizes: "Sizes were chosen by the SFT student's accuracy alone (first try: 22 % greedy on held-out instances).",
};

/** Sums that a calculator is asked for: two turns, or more after calls that came to nothing. */
export const toolUse: Recipe = {
  name: "tool-use",
  task: "tool-use",
  train: 1500,
  sft: 150,
  variants: 2,
  maxNewTokens: 120,
  maxPositions: 384,
  judge: "exact_match",
  environment: { kind: "calculator", maxTurns: 5, maxReplyTokens: 60 },
  teacher: { ...teacher, initializerRange: 0.05, learningRate: 5e-3 },
  student: { ...student, layers: 2, hiddenSize: 32, intermediateSize: 64, steps: 500 },
  sizes:
    "Sizes were chosen by the SFT student's success alone (one layer of width 24: 0 %, two of width 24: 1 to 5 %, of width 32: 55 %, more than the 45 % asked for).",
};

/** Every recipe, for checks. */
export const recipes: readonly Recipe[] = [calculator, gridNav, instructions, names, num2words, numerals, summaries, toolUse];

/**
 * How students train, the same in every experiment on a task, so that experiments share their runs. The learning rate is that
 * of the SFT students. A third of it was tried first; it is worse for the baseline too (supervised KD on grid-nav, 400
 * steps, one seed: 64 % greedy against 71 %), and on-policy distillation is then far from done after 400 steps (75 %
 * against 92 %; after 1600 steps 98 %, and the baseline 69 %).
 */
export const training: Training = {
  steps: 400,
  batchSize: 64,
  learningRate: student.learningRate,
  schedule: "linear",
  warmupSteps: 20,
  rows: 400,
};

/** What --quick changes of it. */
export const quickTraining: Partial<Training> = { steps: 100, rows: 200 };

/** Temperatures at which num2words and names students are sampled. */
export const temperatures = [1, 0.7, 0.4];

/** How num2words students train and are measured, wherever they are. */
export const num2wordsTraining: Training = { ...training, temperatures };
