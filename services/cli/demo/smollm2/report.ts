import type { Summary } from "../../../console/source/report-data.js";
import { bytesInWords } from "../../../shared/base/bytes-in-words.js";
import type { Tokenizer } from "../../../shared/ml/text/tokenizer.js";
import type { Contender } from "../compare.js";
import { nats } from "../figures.js";
import { reportedModel } from "../reported-model.js";
import type { PeakMemory } from "./peak-memory.js";

/** A model of the demo: what was measured, and what its run took. */
export interface Distilled extends Contender {
  /** Weights that were trained. */
  readonly trained?: number;
  /** Of its run, from the start to the saved model. */
  readonly seconds?: number;
  readonly memory?: PeakMemory;
}

/** The head of the comparison's table. */
export const tableHead = [
  ...["", "what it is", "KL(teacher‖student)", "KL(student‖teacher)", "run", "a step", "peak memory: learner", "student", "teacher"],
];

/** A row of that table. Divergences are exact means per token over the model's own samples at temperature 1, in nats. */
export function tableRow(model: Distilled): string[] {
  const { forwardKl, reverseKl } = model.evaluation;
  const [what = "", ...costs] = factsOf(model).map(([, value]) => value);
  return [model.name, what, nats(forwardKl), nats(reverseKl), ...costs];
}

/** What a model is, and what its run took, with names for a report. */
function factsOf({ data, seconds, history, memory }: Distilled): [name: string, value: string][] {
  const steps = history?.steps ?? [];
  const mean = steps.reduce((sum, step) => sum + step.seconds, 0) / Math.max(1, steps.length);
  const bytes = (role: string) => (memory?.[role] ? bytesInWords(memory[role]) : "–");
  return [
    ["what it is", data],
    ["run", history ? `${seconds?.toFixed(0)} s` : "–"],
    ["a step", history ? `${mean.toFixed(1)} s` : "–"],
    ["learner's peak memory", bytes("learner")],
    ["student's", bytes("student")],
    ["teacher's", bytes("teacher")],
  ];
}

/** What the runs of a report had in common. */
export interface ReportFacts {
  /** The teacher, the start, and what was made of it. */
  readonly models: readonly Distilled[];
  readonly tokenizer: Tokenizer;
  readonly teacher: string;
  readonly layers: string;
  readonly prompts: string;
  readonly steps: number;
  readonly seconds: number;
}

/** What the report says first. */
export const summaryOf = ({ models, tokenizer, ...facts }: ReportFacts): Summary => ({
  title: "On-policy distillation of a language model",
  paragraphs: [
    `Teacher: ${facts.teacher}. Student: the same model with ${facts.layers}. Each run was ${facts.steps} on-policy steps from that start, through Retort's services, on prompts alone (${facts.prompts}). All of it took ${facts.seconds.toFixed(0)} seconds on this machine. Divergences are measured on held-out prompts: exact means per token over a model's own samples at temperature 1.`,
  ],
  models: models.map((model, n) => ({ ...reportedModel(model, tokenizer, factsOf(model)), aside: n === 0 })),
});
