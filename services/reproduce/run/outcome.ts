import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { needsScore, resolveRun } from "../../shared/flow/runs/resolve.js";
import { type EvaluationFinished, EvaluationFinishedSchema, type StepFinished } from "../../shared/gen/retort/v1/events_pb.js";
import { Source } from "../../shared/gen/retort/v1/flow_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { readConfig } from "../../shared/ml/models/checkpoint/check.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";

/** Sums over a run's steps. */
export interface Totals {
  readonly steps: number;
  readonly sequences: number;
  readonly completionTokens: number;
  /** What of these the student wrote itself. */
  readonly ownSequences: number;
  readonly ownTokens: number;
  readonly seconds: number;
  readonly waitSeconds: number;
  readonly trainSeconds: number;
  readonly staleness: number;
  /** Share of the most probable classes that teacher and student have in common, at the first and at the last step that reports it. */
  readonly overlap?: { readonly first: number; readonly last: number };
  /** Each teacher's mean share of a step's loss, where there are several. */
  readonly lossShares?: Readonly<Record<string, number>>;
}

/** What is kept of a finished run. */
export interface Outcome {
  readonly digest: string;
  readonly label: string;
  readonly spec: JsonValue;
  /** Evaluations before the first step and after the last. */
  readonly first: JsonValue;
  readonly last: JsonValue;
  readonly totals: Totals;
  /** Floating-point operations of the run by the usual estimate; see {@link trainingFlops}. */
  readonly flops: number;
  /** From the start of its processes to their end; side by side with how many other runs at most. */
  readonly wallSeconds: number;
  readonly sideBySide: number;
  /** What its student was also measured by. */
  readonly also?: Readonly<Record<string, number>>;
  readonly finished: string;
}

/** Adds up a run's steps. */
export function totalsOf(steps: readonly StepFinished[]): Totals {
  const sum = (value: (step: StepFinished) => number) => steps.reduce((total, step) => total + value(step), 0);
  const overlaps = steps.flatMap(({ topOverlap }) => topOverlap ?? []);
  const [first, last] = [overlaps[0], overlaps.at(-1)];
  const own = (step: StepFinished) => (step.source === Source.STUDENT ? 1 : 0);
  return {
    steps: steps.length,
    sequences: sum(({ sequences }) => sequences),
    completionTokens: sum(({ completionTokens }) => completionTokens),
    ownSequences: sum((step) => own(step) * step.sequences),
    ownTokens: sum((step) => own(step) * step.completionTokens),
    seconds: sum(({ seconds }) => seconds),
    waitSeconds: sum(({ waitSeconds }) => waitSeconds),
    trainSeconds: sum(({ trainSeconds }) => trainSeconds),
    staleness: sum(({ stalenessMean }) => stalenessMean) / Math.max(1, steps.length),
    ...(first !== undefined && last !== undefined ? { overlap: { first, last } } : {}),
    ...(steps.some(({ teachers }) => teachers.length) ? { lossShares: lossSharesOf(steps) } : {}),
  };
}

function lossSharesOf(steps: readonly StepFinished[]): Record<string, number> {
  const told = steps.filter(({ teachers }) => teachers.length);
  const shares: Record<string, number> = {};
  for (const { name, lossShare } of told.flatMap(({ teachers }) => teachers)) shares[name] = (shares[name] ?? 0) + lossShare / told.length;
  return shares;
}

/** What a run's cost is estimated from. */
export interface Cost {
  readonly student: number;
  readonly teacher: number;
  /** Tokens of a prompt, on average. */
  readonly promptTokens: number;
  /** Texts that were written before step 1, their mean length, and the writer's parameters. */
  readonly written?: { readonly texts: number; readonly tokens: number; readonly parameters: number };
  /** True if a teacher scores what is trained on. */
  readonly scored: boolean;
}

/**
 * Training cost in floating-point operations by the usual estimate (Kaplan et al. 2020): 2 per parameter and token for a
 * forward pass, 4 more for a backward pass. Counted: training, the student's own sampling, the teacher's scores, and texts
 * written before step 1; a prompt costs as much as a completion of its length. Evaluations are not counted.
 */
export function trainingFlops({ sequences, completionTokens, ownSequences, ownTokens }: Totals, cost: Cost): number {
  const { student, teacher, promptTokens, written, scored } = cost;
  const tokens = completionTokens + sequences * promptTokens;
  const own = ownTokens + ownSequences * promptTokens;
  const writing = written ? 2 * written.parameters * written.texts * (written.tokens + promptTokens) : 0;
  return 6 * student * tokens + 2 * student * own + (scored ? 2 * teacher * tokens : 0) + writing;
}

/** True if any phase of a spec asks a teacher for scores. */
export const isScored = (spec: RunSpec): boolean => resolveRun(spec).phases.some(({ objective }) => needsScore(objective));

/** Number of parameters of a model directory. */
export async function parametersOf(directory: string): Promise<number> {
  return parameterCount(await readConfig(directory));
}

/** The measures of a run by name; what was not measured is absent. */
export function measuresOf(outcome: Outcome, judge: "task" | "exact_match"): Record<string, number> {
  const first = fromJson(EvaluationFinishedSchema, outcome.first);
  const last = fromJson(EvaluationFinishedSchema, outcome.last);
  const before = accuracies(first, judge);
  const after = accuracies(last, judge);
  const { totals, flops, wallSeconds, also } = outcome;
  return measured({
    ...after,
    quality: last.greedy,
    gain: difference(after.greedy, before.greedy),
    sampledGain: difference(after.sampled, before.sampled),
    startGreedy: before.greedy,
    startSampled: before.sampled,
    forwardKl: last.forwardKl,
    reverseKl: last.reverseKl,
    teacherNll: last.teacherNll,
    startTeacherNll: first.teacherNll,
    // Of the student, per token: the cross-entropy to the teacher on its own samples, less the divergence from it.
    entropy: difference(last.teacherNll, last.reverseKl),
    selfBleu: last.selfBleu,
    startSelfBleu: first.selfBleu,
    reward: last.reward,
    startReward: first.reward,
    confidence: last.samples[0]?.confidence,
    calibrationError: last.samples[0]?.calibrationError,
    greedyCalibrationError: last.greedyCalibrationError,
    startConfidence: first.samples[0]?.confidence,
    startCalibrationError: first.samples[0]?.calibrationError,
    overlapFirst: totals.overlap?.first,
    overlapLast: totals.overlap?.last,
    ...samplesOf(last, judge),
    ...teachersOf(last),
    ...Object.fromEntries(Object.entries(totals.lossShares ?? {}).map(([name, share]) => [`lossShare@${name}`, share])),
    flops,
    wallSeconds,
    tokens: totals.completionTokens,
    seconds: totals.seconds,
    stepSeconds: totals.seconds / totals.steps,
    tokensPerSecond: totals.completionTokens / totals.seconds,
    staleness: totals.staleness,
    ...also,
  });
}

function accuracies(evaluation: EvaluationFinished, judge: "task" | "exact_match") {
  const { greedy, sampled, greedyReward, greedyRewardComponents, reward, samples } = evaluation;
  if (judge === "exact_match") return { greedy, sampled };
  return { greedy: checkOf(greedyReward, greedyRewardComponents), sampled: checkOf(reward, samples[0]?.rewardComponents ?? {}) };
}

/** The task's own check, where it is one term of a reward or the whole of it. */
const checkOf = (reward: number | undefined, { task }: Readonly<Record<string, number>>): number | undefined => task ?? reward;

/** Figures at each temperature as `sampled@0.5`, and pass@k as `pass@8`. */
function samplesOf({ samples }: EvaluationFinished, judge: "task" | "exact_match"): Record<string, number | undefined> {
  const passes = samples[0]?.passAt.map(({ k, value }) => [`pass@${k}`, value] as const) ?? [];
  const byTemperature = samples.flatMap(({ temperature, quality, reward, rewardComponents, selfBleu, teacherNll }) => {
    const at = (name: string, value: number | undefined) => [`${name}@${temperature}`, value] as const;
    return [
      at("sampled", judge === "task" ? checkOf(reward, rewardComponents) : quality),
      at("selfBleu", selfBleu),
      at("teacherNll", teacherNll),
    ];
  });
  return Object.fromEntries([...passes, ...byTemperature]);
}

/** Figures by teacher as `recovered@words`, and the least that is recovered of any. */
function teachersOf({ teachers }: EvaluationFinished): Record<string, number | undefined> {
  const all = teachers.flatMap(({ name, greedy, recovered, forwardKl }) => [
    [`greedy@${name}`, greedy] as const,
    [`recovered@${name}`, recovered] as const,
    [`forwardKl@${name}`, forwardKl] as const,
  ]);
  const known = teachers.flatMap(({ recovered }) => recovered ?? []);
  return { ...Object.fromEntries(all), recoveredLeast: known.length ? Math.min(...known) : undefined };
}

const difference = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a - b;

const measured = (record: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(Object.entries(record).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
