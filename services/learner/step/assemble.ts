import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import type { Alignment } from "../../shared/codec/align-score.js";
import { signalOf, wholeDistribution } from "../../shared/codec/signal-spec.js";
import { firstTokens, trainSequence } from "../../shared/codec/train-sequence.js";
import { toUint32 } from "../../shared/flow/arrays.js";
import { payloadBytes } from "../../shared/flow/results/payload.js";
import { sequencesDigest } from "../../shared/flow/rollouts/digest.js";
import type { Phase, ResolvedRun } from "../../shared/flow/runs/resolve.js";
import { FinishReason, type Reward, type Rollout, type Sequence, Source, type TeacherScore } from "../../shared/gen/retort/v1/flow_pb.js";
import type { TrainSequence } from "../../shared/ml/training/batch.js";
import { AlignedTokens, type Alignments, noSpan } from "../tasks/align-results.js";
import type { CompleteResults } from "../tasks/results-reader.js";
import type { Sample, SampleFailure } from "../tasks/sample.js";
import { advantagesOf } from "./advantages.js";

/** The records of one step as a batch to train on, with what its event reports. */
export interface Assembled {
  readonly batch: readonly TrainSequence[];
  /** The sample of each sequence of the batch. */
  readonly trained: readonly Sample[];
  /** What each sequence of the batch was made of. */
  readonly origins: readonly Origin[];
  readonly failures: readonly SampleFailure[];
  readonly reward: number | undefined;
  readonly stalenessMean: number;
  readonly stalenessMax: number;
  readonly meanLength: number;
  readonly finishedShare: number;
  readonly sampleSeconds: number;
  readonly scoreSeconds: number;
  readonly signalBytesPerToken: number;
  readonly cacheLookups: number;
  readonly cacheHits: number;
  /** As in StepFinished; absent where no teacher reads text in its own tokens. */
  readonly alignedShare?: number;
  readonly tokensPerSpan?: number;
}

/** The records that a sequence of a batch comes from. */
export interface Origin {
  readonly results: CompleteResults;
  /** Which of the records' sequences it is. */
  readonly at: number;
  /** Age of each token's policy version, in versions; empty for texts that the student didn't write. */
  readonly staleness: readonly number[];
  /** A stop token ended it. */
  readonly finished: boolean;
}

interface Member extends Sample, Origin {
  readonly sequence: TrainSequence;
  readonly group: string;
  readonly reward: number;
}

/** What is known of the teachers beside their scores. */
export interface Taught {
  /** How much each counts, by name; 1 for one that isn't there. */
  readonly weights?: ResolvedRun["teacherWeights"];
  /** Of the scores over teachers' own tokens; one that has none has no span in common. */
  readonly alignments?: Alignments;
}

/**
 * Turns the records of a step into a batch. Sequences that failed anywhere are left out; rewards become advantages by their baseline.
 *
 * @param results what has been held against its tasks ({@link soundResults})
 * @throws DataLoss if a score does not belong to its rollout, was made with another signal than asked for or by another
 *   teacher of that name, or if a reward is not finite
 */
export function assemble(results: readonly CompleteResults[], phase: Phase, step: number, taught: Taught = {}): Assembled {
  const { weights = new Map(), alignments = new Map() } = taught;
  const failures: SampleFailure[] = [];
  const members: (Member & { readonly tokens: number })[] = [];
  let signalBytes = 0;
  let scoredTokens = 0;
  const aligned = new AlignedTokens();
  const digests = new Map<string, string>();
  results.forEach((result, task) => {
    const { rollout, score, reward } = result;
    if (score) checkScore(rollout, score, task, digests);
    if (reward) checkReward(rollout, reward, task);
    rollout.sequences.forEach((sequence, i) => {
      const { prompt, sample } = sequence;
      const own = score?.scores[i];
      const alignment = own && alignments.get(own);
      const apart = rollout.signal?.tokenizer === "own" && !alignment ? noSpan : "";
      const reason = sequence.failure || own?.failure || reward?.rewards[i]?.failure || apart;
      if (reason) {
        failures.push({ task, prompt, sample, reason });
        return;
      }
      const member = memberOf(result, i, task, step, alignment);
      const tokens = sequence.completionIds?.shape[0] ?? 0;
      if (alignment) aligned.add(alignment, tokens);
      if (score) {
        signalBytes += payloadBytes(score.scores[i]!) + (sequence.studentTopIds?.data.length ?? 0);
        scoredTokens += tokens;
      }
      members.push({ ...member, tokens, sequence: firstTokens(member.sequence, phase.objective.prefixTokens) });
    });
  });
  const rewarded = results.some(({ reward }) => reward);
  const advantages = advantagesOf(members, phase.objective.baseline);
  const ages = members.flatMap(({ staleness }) => staleness);
  return {
    batch: members.map(({ sequence, results: { score } }, i) => ({
      ...sequence,
      ...(rewarded && { advantage: advantages[i]! }),
      ...(score && { teacher: { name: score.teacher, weight: weights.get(score.teacher) ?? 1 } }),
    })),
    trained: members.map(({ task, prompt, sample }) => ({ task, prompt, sample })),
    origins: members.map(({ results, at, staleness, finished }) => ({ results, at, staleness, finished })),
    failures,
    reward: rewarded ? mean(members.map(({ reward }) => reward)) : undefined,
    stalenessMean: mean(ages),
    stalenessMax: ages.reduce((a, b) => Math.max(a, b), 0),
    meanLength: mean(members.map(({ tokens }) => tokens)),
    finishedShare: mean(members.map(({ finished }) => (finished ? 1 : 0))),
    sampleSeconds: sum(results.map(({ rollout }) => rollout.seconds)),
    scoreSeconds: sum(results.map(({ score }) => score?.seconds ?? 0)),
    signalBytesPerToken: scoredTokens ? signalBytes / scoredTokens : 0,
    cacheLookups: sum(results.map(({ score }) => score?.cacheLookups ?? 0)),
    cacheHits: sum(results.map(({ score }) => score?.cacheHits ?? 0)),
    ...aligned.figures(),
  };
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
const mean = (list: readonly number[]): number => (list.length ? sum(list) / list.length : 0);

/** @param digests of each teacher that has scored this step so far, by name */
function checkScore({ sequences, signal }: Rollout, score: TeacherScore, task: number, digests: Map<string, string>): void {
  const refuse = (what: string) => {
    throw new RetortError(
      "DataLoss",
      `task ${task}: the teacher's score ${what}; do all teachers of the run have the same version and settings?`,
    );
  };
  if (score.scores.length !== sequences.length)
    refuse(`has ${counted(score.scores.length, "entry", "entries")} for ${counted(sequences.length, "sequence")}`);
  if (score.sequencesDigest !== sequencesDigest(sequences, signal)) refuse("belongs to other sequences (digest)");
  // Nothing of it is trained on; who records it may not know more of the teacher.
  if (score.scores.every(({ failure }) => failure)) return;
  const [asked, given] = [signal, score.signal].map((signal) =>
    signal
      ? `${signal.kind} k=${signal.k} temperature=${signal.temperature} ${signal.hiddenDtype} ${signal.tokenizer}`.trim()
      : "no signal",
  );
  if (asked !== given) refuse(`was made with ${given}, and ${asked} was asked for`);
  const known = digests.get(score.teacher) ?? score.teacherDigest;
  digests.set(score.teacher, known);
  if (known !== score.teacherDigest)
    refuse(`was made by "${score.teacher}" with weights ${score.teacherDigest}, others of the step with ${known}`);
}

function checkReward({ sequences }: Rollout, { rewards }: Reward, task: number): void {
  if (rewards.length !== sequences.length)
    throw new RetortError(
      "DataLoss",
      `task ${task} has ${counted(rewards.length, "reward")} for ${counted(sequences.length, "sequence")}; do all workers of the run have the same version?`,
    );
}

/** The reward of a sequence; 0 where none was asked for. */
function rewardOf({ reward }: CompleteResults, i: number, task: number): number {
  const value = reward?.rewards[i]?.value ?? 0;
  if (!Number.isFinite(value))
    throw new RetortError("DataLoss", `task ${task}: rewards[${i}].value is ${value}; a reward must be a finite number, or a failure`);
  return value;
}

function memberOf(result: CompleteResults, i: number, task: number, step: number, alignment: Alignment | undefined): Member {
  const { rollout, score } = result;
  const sequence = rollout.sequences[i]!;
  const sampled = rollout.source === Source.STUDENT;
  const signal = rollout.signal ? signalOf(rollout.signal) : wholeDistribution;
  const records = { sequence, score: score?.scores[i], signal, headDigest: score?.headDigest ?? "", sampled, alignment };
  const versions = sampled ? Array.from(toUint32(sequence.policyVersions, "policyVersions")) : [];
  return {
    ...{ results: result, at: i },
    task,
    prompt: sequence.prompt,
    sample: sequence.sample,
    sequence: trainSequence(records),
    group: `${task}/${sequence.prompt}`,
    reward: rewardOf(result, i, task),
    staleness: versions.map((version) => step - 1 - version),
    finished: isFinished(sequence),
  };
}

const isFinished = ({ finish }: Sequence): boolean => finish === FinishReason.STOP;
