import { wilson } from "../../shared/base/wilson.js";
import { binaryMetrics } from "../../shared/flow/runs/binary-metrics.js";
import type { EvaluationFinished } from "../../shared/gen/retort/v1/events_pb.js";
import { number, percent } from "./format.js";

/** A column of the table of evaluations. */
export interface Column {
  readonly name: string;
  readonly value: (evaluation: EvaluationFinished) => number | undefined;
  /** Which value is best. */
  readonly best: "most" | "least";
  readonly words: (value: number, evaluation: EvaluationFinished) => string;
}

/** Whether a metric says right or wrong of a completion, so that its mean is a share. */
export const isShare = (metric: string): boolean => binaryMetrics.includes(metric);

const share = (value: number, { metric, prompts }: EvaluationFinished): string => {
  if (!isShare(metric)) return number(value);
  const [low, high] = wilson(value, prompts);
  return `${percent(value)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
};
const plain = (value: number): string => number(value);

const columns: readonly Column[] = [
  { name: "greedy", value: ({ greedy }) => greedy, best: "most", words: share },
  { name: "sampled", value: ({ sampled }) => sampled, best: "most", words: share },
  { name: "greedy reward", value: ({ greedyReward }) => greedyReward, best: "most", words: plain },
  { name: "reward", value: ({ reward }) => reward, best: "most", words: plain },
  { name: "forward KL", value: ({ forwardKl }) => forwardKl, best: "least", words: plain },
  { name: "reverse KL", value: ({ reverseKl }) => reverseKl, best: "least", words: plain },
  { name: "teacher NLL", value: ({ teacherNll }) => teacherNll, best: "least", words: plain },
];

/** The columns that evaluations have. */
export const columnsOf = (evaluations: readonly EvaluationFinished[]): Column[] =>
  columns.filter(({ value }) => evaluations.some((evaluation) => value(evaluation) !== undefined));

/**
 * The row that is best by the first column, which is what people ask first; undefined without one.
 *
 * @param aside rows that aren't compared: a teacher beside its students
 */
export function bestRow(evaluations: readonly EvaluationFinished[], aside: readonly number[] = []): number | undefined {
  const [first] = columnsOf(evaluations);
  if (!first) return undefined;
  const sign = first.best === "most" ? 1 : -1;
  const none = Number.NEGATIVE_INFINITY;
  const scores = evaluations.map((evaluation, n) => (aside.includes(n) ? none : sign * (first.value(evaluation) ?? none)));
  const best = Math.max(...scores);
  return best === none ? undefined : scores.indexOf(best);
}
