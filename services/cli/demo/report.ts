import type { Summary } from "../../console/source/report-data.js";
import type { Tokenizer } from "../../shared/ml/text/tokenizer.js";
import type { Contender } from "./compare.js";
import { nats } from "./figures.js";
import { reportedModel } from "./reported-model.js";

const percent = (x: number | undefined): string => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);

/** The head of the comparison's table. */
export const tableHead = ["", "learns from", "greedy exact match", "exact match at T=1", "KL(teacher‖student)", "KL(student‖teacher)"];

/** A row of that table: name, what it learns from, greedy, temperature 1, KL both ways. */
export const tableRow = ({ name, data, evaluation }: Contender): string[] => [
  name,
  data,
  percent(evaluation.greedy),
  percent(evaluation.sampled),
  nats(evaluation.forwardKl),
  nats(evaluation.reverseKl),
];

/** What the report says first. @param contenders the teacher, the start, and what was made of it */
export const summaryOf = (contenders: readonly Contender[], tokenizer: Tokenizer, seconds: number): Summary => ({
  title: "On-policy distillation, a small run",
  paragraphs: [
    `A teacher of about 100,000 parameters writes numbers in words ("347=" → "three hundred forty seven"). A student of about 3,000 parameters was first trained on 150 examples. Then it was distilled in different ways, through Retort's services, in ${seconds.toFixed(0)} seconds on this machine. Every figure is measured on ${contenders[0]?.evaluation.rows ?? 0} numbers that no student has seen.`,
    "On-policy distillation trains on what the student itself writes; the teacher judges every token of it, so it needs prompts but no reference answers.",
  ],
  models: contenders.map((contender, n) => ({
    ...reportedModel(contender, tokenizer, [["learns from", contender.data]]),
    aside: n === 0,
  })),
});
