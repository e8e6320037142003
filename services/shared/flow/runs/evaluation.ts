import type { Problem } from "../../base/errors.js";
import type { EvaluationSpec, RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { binaryMetrics } from "./binary-metrics.js";
import { type Closed, closedValue } from "./closed-value.js";

/** The figures by which a best checkpoint can be chosen, and whether more of it is better. */
export const bestFigures = {
  forward_kl: "lowest",
  greedy: "highest",
  reverse_kl: "lowest",
  reward: "highest",
  sampled: "highest",
  self_bleu: "lowest",
  teacher_nll: "lowest",
} as const satisfies Record<Closed<"EvaluationSpec.keepBest">, "highest" | "lowest">;

/** A figure by which the best version of a student can be kept. */
export type BestFigure = keyof typeof bestFigures;

/** How a run evaluates, with every default filled in. */
export interface EvaluationSettings {
  /** Empty: the rows are held out of the dataset. */
  readonly path: string;
  readonly holdOut: number;
  readonly limit: number;
  /** 0: only before the first step and after the last. */
  readonly everySteps: number;
  readonly samplesPerPrompt: number;
  /** Empty: exact_match where the rows have references, else none. */
  readonly metric: string;
  readonly temperatures: readonly number[];
  readonly passAt: readonly number[];
  readonly keepBest: BestFigure | undefined;
  readonly selfBleuUnit: Closed<"EvaluationSpec.selfBleuUnit">;
  /** 0: that of the phase. */
  readonly maxNewTokens: number;
}

/** Fills in an evaluation's defaults; undefined if the run has none. */
export function resolveEvaluation(spec: EvaluationSpec | undefined): EvaluationSettings | undefined {
  if (!spec) return undefined;
  const { path, holdOut, everySteps, metric, passAt, maxNewTokens } = spec;
  return {
    path,
    holdOut,
    everySteps,
    metric,
    passAt,
    maxNewTokens,
    limit: spec.limit || 128,
    samplesPerPrompt: spec.samplesPerPrompt || 1,
    temperatures: spec.temperatures.length ? spec.temperatures : [1],
    keepBest: spec.keepBest ? closedValue("EvaluationSpec.keepBest", spec.keepBest) : undefined,
    selfBleuUnit: closedValue("EvaluationSpec.selfBleuUnit", spec.selfBleuUnit || "word"),
  };
}

/** What is wrong between the k's of pass@k, the samples and the metric; the field names are those of EvaluationSpec. */
export function passAtProblems(passAt: readonly number[], samplesPerPrompt: number, metric: string): Problem[] {
  const problems = passAt.flatMap((k) => {
    if (k <= samplesPerPrompt) return [];
    const description = `is ${k}; pass@${k} needs at least ${k} samples per prompt, and samplesPerPrompt is ${samplesPerPrompt}: raise it or lower k`;
    return [{ fieldPath: "evaluation.passAt", description }];
  });
  if (passAt.length && metric && !binaryMetrics.includes(metric))
    problems.push({
      fieldPath: "evaluation.metric",
      description: `is ${metric}, which doesn't say right or wrong; pass@k counts completions that are right by ${binaryMetrics.join(", ")}`,
    });
  return problems;
}

/** What is wrong with a run's evaluation and can be seen without opening its rows. */
export function evaluationProblems({ evaluation: spec, teachers, rewards }: RunSpec): Problem[] {
  const settings = resolveEvaluation(spec);
  if (!settings) return [];
  const problems: Problem[] = [];
  const problem = (field: string, description: string) => problems.push({ fieldPath: `evaluation.${field}`, description });
  const { keepBest } = settings;
  problems.push(...passAtProblems(settings.passAt, settings.samplesPerPrompt, settings.metric));
  if (keepBest === "reward" && rewards.length === 0) problem("keepBest", "is reward, and `rewards` is empty");
  if ((keepBest === "forward_kl" || keepBest === "reverse_kl" || keepBest === "teacher_nll") && teachers.length === 0)
    problem("keepBest", `is ${keepBest}, which a teacher gives, and \`teachers\` is empty`);
  return problems;
}

/** The setting that needs references where the held-out rows have none; undefined if all is well. */
export function referencesNeededBy({ metric, passAt, keepBest }: EvaluationSettings): string | undefined {
  if (metric) return `evaluation.metric is ${metric}`;
  if (passAt.length) return `evaluation.passAt is ${passAt.join(", ")}`;
  return keepBest === "greedy" || keepBest === "sampled" ? `evaluation.keepBest is ${keepBest}` : undefined;
}
