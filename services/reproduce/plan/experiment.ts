import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import type { PhaseSpecSchema, RewardSpecSchema, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** A run spec as a plain object, field by field as in proto/retort/v1/run_spec.proto. */
export type SpecInit = MessageInitShape<typeof RunSpecSchema>;
type PhaseInit = Exclude<MessageInitShape<typeof PhaseSpecSchema>, Message>;
type RewardInit = MessageInitShape<typeof RewardSpecSchema>;

/** A model trained from scratch by supervised fine-tuning. */
export interface ModelRecipe {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly initializerRange: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** A judge that `retort train-classifier` makes of the teacher, from right and mistaken completions of the task. */
export interface ClassifierRecipe {
  /** Completions of either kind per example. */
  readonly variants: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly warmup: number;
  readonly seed: number;
}

/** A task with the two models that its experiments start from. */
export interface Recipe {
  readonly name: string;
  /** Generated task of the prompts. */
  readonly task: string;
  /** Further tasks that only the teacher learns. */
  readonly alsoTaught?: string;
  /** Kinds of the task's examples that have a teacher of their own each, which learns those alone. Default: one teacher learns all. */
  readonly domains?: readonly string[];
  /** Rows to train on, the first of them with completions for supervised fine-tuning; the others are held out. */
  readonly train: number;
  readonly sft: number;
  /** Valid completions per example that the teacher sees. */
  readonly variants: number;
  /** Of all turns of a sample together. */
  readonly maxNewTokens: number;
  readonly maxPositions: number;
  /** What answers models between their turns, in training and in evaluations; prompts are then conversations. */
  readonly environment?: { readonly kind: "calculator"; readonly maxTurns: number; readonly maxReplyTokens: number };
  /** How right a completion is: by the task's own check, or by equality with the reference where that is the same. */
  readonly judge: "task" | "exact_match";
  /** What pass@k and the measure `quality` compare with the reference. Default exact_match. */
  readonly metric?: "numeric" | "rouge_l";
  readonly teacher: ModelRecipe;
  readonly student: ModelRecipe;
  /** A third model: then the reward of every arm is the classifier's, and the task's own check is only reported. */
  readonly classifier?: ClassifierRecipe;
  /** By which rule the sizes were chosen, and the numbers. */
  readonly sizes: string;
}

/** How every arm of a part trains and is measured. */
export interface Training {
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly schedule: "constant" | "linear" | "cosine";
  readonly warmupSteps: number;
  /** Held-out rows of an evaluation. */
  readonly rows: number;
  readonly temperatures?: readonly number[];
  readonly samplesPerPrompt?: number;
  readonly passAt?: readonly number[];
}

/** Measures of greedy completions besides a run's own evaluation; each becomes a measure of its name. */
export interface Also {
  /** Held-out rows of the part's task, or examples of the task that only the teacher learnt. */
  readonly rows: "held-out" | "also-held-out";
  /** `check` is the task's own. */
  readonly measures: Readonly<Record<string, "check" | "rouge1" | "rouge2" | "rouge_l">>;
}

/** One way to train, with every seed. */
export interface Arm {
  readonly name: string;
  /** The arm whose student this one starts from, at the same seed. Default: the SFT student. */
  readonly from?: string;
  /**
   * Rows to train on: all of `train` with their completions (default); or `few`, all of them, but with completions only for
   * the rows of supervised fine-tuning; or these rows alone, `sft`. For tasks that take several turns, `sft` and `train-turns` have a row
   * for each turn of their solutions. Where lambda is 1 only the prompts are used.
   */
  readonly data?: "train" | "few" | "sft" | "train-turns";
  /** Share of those rows, the first ones. Default 1. */
  readonly share?: number;
  /** Completions are sampled once before step 1, by the teacher or by the student that the arm starts from. */
  readonly written?: "teacher" | "start";
  readonly phase: PhaseInit;
  /** Share of the part's steps. Default 1. */
  readonly stepShare?: number;
  /** Default: the part's. */
  readonly learningRate?: number;
  readonly maxStaleness?: number;
  /** False: left out with --quick. */
  readonly quick?: boolean;
  /** True: a step on the way to another arm, not reported. */
  readonly hidden?: boolean;
}

/** The value of a measure of an arm at one seed; NaN where it was not measured. */
export type Reading = (arm: string, measure: string) => number;

/** Something that must come out positive if an ordering shows: evaluated at each seed. */
export interface Contrast {
  readonly says: string;
  /** What is compared; the value is shown in the unit of its column. */
  readonly measure: string;
  readonly value: (reading: Reading) => number;
  /** Arms that lie between the two compared: if any of them was run, this comparison is left to its neighbours. */
  readonly between?: readonly string[];
}

/** One of the orderings that the paper shows, as contrasts between arms. */
export interface Ordering {
  /** O1 … O8 of the method, or the question that the experiment asks. */
  readonly id: string;
  readonly says: string;
  readonly contrasts: readonly Contrast[];
}

/** A column of a part's table. */
export interface Column {
  readonly measure: string;
  readonly label: string;
  /** Default number. */
  readonly format?: "number" | "percent" | "seconds" | "flops";
}

/** A table with an arm in each cell, such as λ × divergence. */
export interface Grid {
  readonly title: string;
  readonly measure: string;
  readonly format?: Column["format"];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly arm: (row: string, column: string) => string;
}

/** A point of a figure: an arm's measure over a number or over another measure. */
export interface Point {
  readonly arm: string;
  readonly x: number | string;
  readonly y: string;
}

/** One curve, or the bars of one colour. */
export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** Default: connected. */
  readonly scatter?: boolean;
}

/** A chart: lines or points over numbers, or bars over arms. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly kind: "bars" | "lines";
  readonly x: string;
  readonly y: string;
  readonly percent?: boolean;
  /** The x axis is logarithmic. */
  readonly logX?: boolean;
  /** The series have an order, the least first: λ, or a share. Their colours have it, too. */
  readonly ordered?: boolean;
  readonly series: readonly Series[];
}

/** The arms of an experiment on one task. */
export interface Part {
  readonly recipe: Recipe;
  readonly training: Training;
  /** What --quick changes of the training; false: it leaves the part out. */
  readonly quick: Partial<Training> | false;
  readonly arms: readonly Arm[];
  /** Rewards of every arm: what alpha weighs, and what evaluations report besides the judge. */
  readonly rewards?: readonly RewardInit[];
  /** What finished students are also measured by: greedy completions of more rows. */
  readonly also?: Also;
  readonly columns: readonly Column[];
  readonly grids?: readonly Grid[];
  readonly figures: readonly Figure[];
  readonly orderings: readonly Ordering[];
  /** What the numbers do not say by themselves, such as why an ordering does not show. */
  readonly note?: string;
}

/** An experiment of the paper, as data. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** What is compared, and where the paper has it. */
  readonly about: string;
  readonly parts: readonly Part[];
  /** True: its runs have the machine to themselves, because their time is a result. */
  readonly alone?: boolean;
}

/** What --quick runs of an experiment. */
export const quickened = (experiment: Experiment): Experiment => ({
  ...experiment,
  parts: experiment.parts
    .filter(({ quick }) => quick !== false)
    .map((part) => ({
      ...part,
      arms: part.arms.filter(({ quick }) => quick !== false),
      training: { ...part.training, ...part.quick },
    })),
});
