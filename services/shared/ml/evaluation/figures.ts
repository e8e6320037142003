import { defined } from "../../base/defined.js";
import { binaryMetrics, type TextMetric, textMetrics } from "../text/metrics/table.js";
import { calibrationError } from "./calibration.js";
import type { TokenDivergences } from "./divergence.js";
import { passAtK } from "./pass-at-k.js";
import { type BleuUnit, selfBleuOf } from "./self-bleu.js";

/** One completion of an evaluation, as far as it was judged. */
export interface JudgedSample {
  /** Which prompt: samples of one prompt share it. */
  readonly prompt: number;
  readonly text: string;
  /** Empty if there is none. */
  readonly reference: string;
  readonly tokens: number;
  readonly reward?: number;
  /** Terms of the reward by their kind, unweighted. */
  readonly rewardComponents?: Readonly<Record<string, number>>;
  readonly divergences?: TokenDivergences;
  /** How sure the model was of it; see calibration.ts. */
  readonly confidence?: number;
}

/** What is measured on the samples. */
export interface FigureOptions {
  /** Absent: no measure against references. */
  readonly metric: TextMetric | undefined;
  /** The k's of pass@k. */
  readonly passAt: readonly number[];
  readonly selfBleuUnit: BleuUnit;
}

/** pass@k for one k, averaged over the prompts. */
export interface PassAt {
  readonly k: number;
  readonly value: number;
}

/** Figures of a set of completions. What could not be measured is absent. */
export interface Figures {
  /** Mean of the metric over the completions that have a reference. */
  readonly quality?: number;
  readonly passAt: readonly PassAt[];
  readonly reward?: number;
  /** Mean of each term of the reward. */
  readonly rewardComponents: Readonly<Record<string, number>>;
  /** Means per token, in nats. */
  readonly forwardKl?: number;
  readonly reverseKl?: number;
  readonly teacherNll?: number;
  readonly selfBleu?: number;
  /** Mean length in tokens. */
  readonly length?: number;
  /** Mean over the completions whose log-probabilities are known. */
  readonly confidence?: number;
  /** Over those that have a reference, too; absent unless the metric is 0 or 1. */
  readonly calibrationError?: number;
}

/** Figures over completions of one model at one temperature. */
export function figuresOf(samples: readonly JudgedSample[], { metric, passAt, selfBleuUnit }: FigureOptions): Figures {
  const byPrompt = groupsOf(samples);
  const measure = metric && textMetrics[metric];
  const qualities = measure ? samples.flatMap(({ text, reference }) => (reference === "" ? [] : [measure(text, reference)])) : [];
  const divergences = samples.flatMap(({ divergences }) => (divergences ? [divergences] : []));
  const overTokens = (name: keyof TokenDivergences) => meanOf(divergences.flatMap((one) => Array.from(one[name])));
  return defined({
    quality: meanOf(qualities),
    passAt: measure ? passAt.map((k) => ({ k, value: meanPass(byPrompt, measure, k) })) : [],
    reward: meanOf(samples.flatMap(({ reward }) => (reward === undefined ? [] : [reward]))),
    rewardComponents: meanComponents(samples.flatMap(({ rewardComponents }) => (rewardComponents ? [rewardComponents] : []))),
    forwardKl: overTokens("forwardKl"),
    reverseKl: overTokens("reverseKl"),
    teacherNll: overTokens("teacherNll"),
    selfBleu: selfBleuOf(
      byPrompt.map((group) => group.map(({ text }) => text)),
      selfBleuUnit,
    ),
    length: meanOf(samples.map(({ tokens }) => tokens)),
    confidence: meanOf(samples.flatMap(({ confidence }) => confidence ?? [])),
    calibrationError: metric && binaryMetrics.includes(metric) ? calibrationOf(samples, textMetrics[metric]) : undefined,
  });
}

const meanOf = (list: readonly number[]): number | undefined => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : undefined);

const calibrationOf = (samples: readonly JudgedSample[], measure: (text: string, reference: string) => number): number | undefined =>
  calibrationError(
    samples.flatMap(({ text, reference, confidence }) =>
      reference === "" || confidence === undefined ? [] : [{ confidence, right: measure(text, reference) === 1 }],
    ),
  );

function meanComponents(rewarded: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = Object.keys(rewarded[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, meanOf(rewarded.map((components) => components[name] ?? Number.NaN)) ?? 0]));
}

function groupsOf(samples: readonly JudgedSample[]): JudgedSample[][] {
  const groups = new Map<number, JudgedSample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.prompt);
    if (group) group.push(sample);
    else groups.set(sample.prompt, [sample]);
  }
  return [...groups.values()];
}

/** Mean over the prompts that have a reference and k samples. A completion passes if its metric is 1. */
function meanPass(groups: readonly (readonly JudgedSample[])[], measure: (text: string, reference: string) => number, k: number): number {
  const passes = groups
    .filter((group) => group[0]!.reference !== "" && group.length >= k)
    .map((group) => passAtK(group.length, group.filter(({ text, reference }) => measure(text, reference) >= 1).length, k));
  return meanOf(passes) ?? Number.NaN;
}
