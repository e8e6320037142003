import type { MessageInitShape } from "@bufbuild/protobuf";
import { defined } from "../../shared/base/defined.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import { perToken } from "../../shared/codec/align-score.js";
import { fromScoreRecord } from "../../shared/codec/score-record.js";
import { signalOf, wholeDistribution } from "../../shared/codec/signal-spec.js";
import { scoreInput } from "../../shared/codec/train-sequence.js";
import { toFloat32, toInt32 } from "../../shared/flow/arrays.js";
import type { BestFigure, EvaluationSettings } from "../../shared/flow/runs/evaluation.js";
import type { EvaluationFinishedSchema, ExampleSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { Sequence, SequenceReward, SequenceScore, SignalSpec } from "../../shared/gen/retort/v1/flow_pb.js";
import { confidenceOf } from "../../shared/ml/evaluation/calibration.js";
import type { TokenDivergences } from "../../shared/ml/evaluation/divergence.js";
import { figuresOf, type JudgedSample } from "../../shared/ml/evaluation/figures.js";
import { type TextMetric, textMetrics } from "../../shared/ml/text/metrics/table.js";
import { movedScores } from "../model/moved-scores.js";
import type { TrainHost } from "../model/train-host.js";
import { type Alignments, alignResults, noSpan } from "../tasks/align-results.js";
import type { CompleteResults } from "../tasks/results-reader.js";
import { type TeacherSamples, teacherFigures } from "./teacher-figures.js";

/** An evaluation's event, less the version and the time that it took. */
export type EvaluationFigures = MessageInitShape<typeof EvaluationFinishedSchema>;

/** A completion with what teacher and reward role said of it. */
interface Judged {
  readonly sequence: Sequence;
  readonly score: SequenceScore | undefined;
  readonly signal: SignalSpec | undefined;
  readonly reward: SequenceReward | undefined;
}

/** What was written for an evaluation. */
export interface EvaluationSets {
  readonly greedy: readonly CompleteResults[];
  /** In the order of the settings' temperatures. */
  readonly drawn: readonly (readonly CompleteResults[])[];
  /** By the teachers themselves, greedy; undefined where none was asked to. */
  readonly own: ReadonlyMap<string, readonly CompleteResults[]> | undefined;
}

/** By which teachers an evaluation is told apart; as {@link TeacherSamples}. */
export type EvaluationTeachers = Pick<TeacherSamples, "names" | "of" | "start">;

/**
 * The figures of an evaluation from the records of its greedy completions and of its samples.
 *
 * @param shown held-out rows whose completions are kept to be read
 */
export async function evaluationFigures(
  host: WorkerClient<TrainHost>,
  sets: EvaluationSets,
  settings: EvaluationSettings,
  { shown, teachers }: { readonly shown: readonly number[]; readonly teachers?: EvaluationTeachers | undefined },
): Promise<EvaluationFigures> {
  const alignments = await alignResults(host, sets.drawn.flat());
  const written = sets.greedy.flatMap(judgedOf);
  const drawn = sets.drawn.map((results) => results.flatMap(judgedOf));
  const taught = [...(sets.own ?? [])].map(([name, results]) => [name, results.flatMap(judgedOf)] as const);
  const all = [written, ...drawn, ...taught.map(([, judged]) => judged)].flat();
  const failures = all.flatMap((judged) => failureOf(judged, alignments) || []);
  const options = { metric: metricOf(settings, written), passAt: settings.passAt, selfBleuUnit: settings.selfBleuUnit };
  const greedy = await samplesOf(host, written, alignments);
  const best = figuresOf(greedy, { ...options, passAt: [] });
  const own = new Map<string, readonly JudgedSample[]>();
  for (const [name, judged] of taught) own.set(name, await samplesOf(host, judged, alignments));
  const samples = [];
  let first: readonly JudgedSample[] = [];
  for (const [i, temperature] of settings.temperatures.entries()) {
    const judged = await samplesOf(host, drawn[i]!, alignments);
    if (i === 0) first = judged;
    const figures = figuresOf(judged, options);
    const rewardComponents = { ...figures.rewardComponents };
    samples.push({ temperature, ...figures, rewardComponents, passAt: figures.passAt.map((one) => ({ ...one })) });
  }
  const { quality, forwardKl, reverseKl, teacherNll, reward, selfBleu } = samples[0]!;
  return {
    prompts: new Set(written.map(({ sequence }) => sequence.index)).size,
    metric: options.metric ?? "",
    greedy: best.quality,
    greedyReward: best.reward,
    greedyConfidence: best.confidence,
    greedyCalibrationError: best.calibrationError,
    greedyRewardComponents: { ...best.rewardComponents },
    sampled: quality,
    ...{ forwardKl, reverseKl, teacherNll, reward, selfBleu, samples },
    teachers: teachers && teacherFigures({ ...teachers, greedy, drawn: first, own: sets.own && own }, options),
    failed: failures.length,
    failure: failures[0] ?? "",
    examples: await examplesOf(host, { shown, greedy: written, drawn: drawn[0]!, samples: first, metric: options.metric }),
  };
}

/** The figure that a best checkpoint is chosen by; NaN where it could not be measured. */
export function bestValue(figures: EvaluationFigures, figure: BestFigure): number {
  const { greedy, sampled, forwardKl, reverseKl, reward, selfBleu, teacherNll } = figures;
  const values = {
    forward_kl: forwardKl,
    greedy,
    reverse_kl: reverseKl,
    reward,
    sampled,
    self_bleu: selfBleu,
    teacher_nll: teacherNll,
  } satisfies Record<BestFigure, number | undefined>;
  return values[figure] ?? Number.NaN;
}

/** The metric to use: that of the settings, else exact match where there are references. */
const metricOf = ({ metric }: EvaluationSettings, judged: readonly Judged[]): TextMetric | undefined =>
  (metric as TextMetric) || (judged.some(({ sequence }) => sequence.reference !== "") ? "exact_match" : undefined);

const judgedOf = ({ rollout, score, reward }: CompleteResults): Judged[] =>
  rollout.sequences.map((sequence, i) => ({
    sequence,
    signal: rollout.signal,
    score: score?.scores[i],
    reward: reward?.rewards[i],
  }));

function failureOf({ sequence, score, signal, reward }: Judged, alignments: Alignments): string {
  const apart = signal?.tokenizer === "own" && score && !alignments.has(score) ? noSpan : "";
  return sequence.failure || score?.failure || reward?.failure || apart;
}

type Scored = Judged & { readonly score: SequenceScore };

const isScored = (judged: Judged): judged is Scored => judged.score !== undefined && !judged.score.failure;

const isWritten = ({ sequence }: Judged): boolean => sequence.failure === "";

/**
 * The completions that were written, in order, with their divergences from the teacher where one scored them; where it did so in its own
 * tokens, with the likelihood that it gives them.
 */
async function samplesOf(host: WorkerClient<TrainHost>, judged: readonly Judged[], alignments: Alignments): Promise<JudgedSample[]> {
  const written = judged.filter(isWritten);
  const all = written.filter(isScored);
  const [own, scored] = [all.filter(readOwn), all.filter((one) => !readOwn(one))];
  const divergences = scored.length ? await host.divergences(movedScores(scored.map(scoredInput))) : [];
  const found = new Map<Judged, TokenDivergences>(scored.map((one, i) => [one, divergences[i]!]));
  for (const one of own) {
    const alignment = alignments.get(one.score);
    if (alignment)
      found.set(one, { ...noDivergences, teacherNll: perToken(alignment.spans, alignment.logprobs).map((logprob) => -logprob) });
  }
  return written.map((one) => {
    const { index, completionText, reference, completionIds, samplerLogprobs } = one.sequence;
    const judgedReward = one.reward && !one.reward.failure ? { reward: one.reward.value, rewardComponents: one.reward.components } : {};
    const divergences = found.get(one);
    return {
      prompt: index,
      text: completionText,
      reference,
      tokens: completionIds?.shape[0] ?? 0,
      ...judgedReward,
      ...(divergences ? { divergences } : {}),
      ...(samplerLogprobs ? { confidence: confidenceOf(toFloat32(samplerLogprobs, "samplerLogprobs")) } : {}),
    };
  });
}

const readOwn = ({ signal }: Judged): boolean => signal?.tokenizer === "own";

/** Of distributions over other classes there is none. */
const noDivergences = { forwardKl: new Float32Array(), reverseKl: new Float32Array() };

function scoredInput({ sequence, score, signal }: Scored) {
  const input = scoreInput(sequence);
  const asked = signal ? signalOf(signal) : wholeDistribution;
  const context = { signal: asked, tokens: input.completionIds.length, headDigest: "", studentTopIds: sequence.studentTopIds };
  return { ...input, score: fromScoreRecord(score, context) };
}

interface Shown {
  /** Held-out rows. */
  readonly shown: readonly number[];
  readonly greedy: readonly Judged[];
  /** At the first temperature, and what was made of those that were written. */
  readonly drawn: readonly Judged[];
  readonly samples: readonly JudgedSample[];
  readonly metric: TextMetric | undefined;
}

/** Rows with their completions, those left out for which one is missing. */
async function examplesOf(
  host: WorkerClient<TrainHost>,
  { shown, greedy, drawn, samples, metric }: Shown,
): Promise<MessageInitShape<typeof ExampleSchema>[]> {
  const written = drawn.filter(isWritten);
  const found = shown.flatMap((row) => {
    const best = greedy.find(({ sequence }) => sequence.index === row)?.sequence;
    const at = written.findIndex(({ sequence }) => sequence.index === row);
    const sequence = written[at]?.sequence;
    return best && !best.failure && sequence ? [{ row, best, sequence, sample: samples[at] }] : [];
  });
  const tokens = await host.pieces(found.map(({ sequence }) => toInt32(sequence.completionIds, "completionIds")));
  return found.map(({ row, best, sequence, sample }, i) => {
    const { promptText, completionText, reference } = sequence;
    const judge = (text: string) => (metric && reference !== "" ? textMetrics[metric](text, reference) : undefined);
    return {
      ...{ row, prompt: promptText, reference, completion: completionText, greedy: best.completionText, tokens: tokens[i] },
      divergence: Array.from(sample?.divergences?.forwardKl ?? []),
      ...defined({ quality: judge(completionText), greedyQuality: judge(best.completionText) }),
    };
  });
}
