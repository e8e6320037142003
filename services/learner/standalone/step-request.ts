import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { checkChosen, checkSignalFields, signalOf, wholeDistribution } from "../../shared/codec/signal-spec.js";
import { firstTokens, trainSequence } from "../../shared/codec/train-sequence.js";
import { toUint32 } from "../../shared/flow/arrays.js";
import { payloadBytes } from "../../shared/flow/results/payload.js";
import { needsReward, resolveObjective } from "../../shared/flow/runs/resolve.js";
import { FinishReason } from "../../shared/gen/retort/v1/flow_pb.js";
import type { ScoredSequenceValid, StepRequestValid } from "../../shared/gen/retort/v1/learner_pb.js";
import type { Signal } from "../../shared/ml/signals/score.js";
import { kindsThat, signals } from "../../shared/ml/signals/table.js";
import type { TrainSequence } from "../../shared/ml/training/batch.js";
import { advantagesOf } from "../step/advantages.js";

/** A batch to train on, with what its report says of it. */
export interface StepBatch {
  readonly batch: readonly TrainSequence[];
  readonly failedPrompts: number;
  readonly reward: number | undefined;
  readonly meanLength: number;
  readonly finishedShare: number;
  readonly stalenessMean: number;
  readonly stalenessMax: number;
  readonly signalBytesPerToken: number;
}

function refuse(fieldPath: string, message: string): never {
  throw new RetortError("InvalidArgument", `${fieldPath} ${message}`, { fieldPath });
}

/** Refuses what nothing would read. @throws InvalidArgument naming the field */
export function checkStep({ signal, sequences, teacherModel, headDigest, objective }: StepRequestValid): void {
  if (objective?.balance === "teachers")
    refuse(
      "objective.balance",
      "is teachers, and a Step doesn't say who scored what; weigh by runs, or send each teacher's sequences in a Step",
    );
  if (signal) checkSignalFields(signal);
  const { kind } = signal ? signalOf(signal) : wholeDistribution;
  for (const [field, value] of Object.entries(signals[kind].needsHead ? {} : { teacherModel, headDigest })) {
    const readers = kindsThat(({ needsHead }) => needsHead);
    if (value) refuse(field, `is ${value}; only the signal ${readers} reads it, and signal.kind is ${kind}`);
  }
  const given = sequences.map(({ sequence }) => sequence);
  checkChosen(kind, given, (i) => `sequences[${i}].sequence.studentTopIds`);
}

const failureOf = ({ sequence, score, reward }: ScoredSequenceValid): string => sequence.failure || score?.failure || reward?.failure || "";

/**
 * The sequences of a request as a batch: failed ones are left out, rewards become advantages as in a run.
 *
 * @param steps that the learner has taken: the version that is trained
 * @throws InvalidArgument naming the sequence and its field
 */
export function batchOf({ sequences, objective }: StepRequestValid, signal: Signal, head: string, steps: number): StepBatch {
  const places = sequences.flatMap((one, i) => (failureOf(one) ? [] : [i]));
  if (places.length === 0) refuse("sequences", `have all failed; the first one: ${failureOf(sequences[0]!)}. There is nothing to train on`);
  const kept = places.map((i) => sequences[i]!);
  const rewards = rewardsOf(sequences, places);
  const samples = new Map<number, number>();
  for (const { sequence } of kept) samples.set(sequence.prompt, (samples.get(sequence.prompt) ?? 0) + 1);
  const settings = resolveObjective({}, objective, Math.max(...samples.values()));
  if (needsReward(settings) && !rewards)
    refuse(`sequences[${places[0]}].reward`, `is missing, and objective.alpha is ${settings.alpha}: rewards enter the loss`);
  const advantages =
    rewards &&
    advantagesOf(
      kept.map(({ sequence }, i) => ({ group: String(sequence.prompt), reward: rewards[i]! })),
      settings.baseline,
    );
  const whole = kept.map(({ sequence, score }, i) => {
    const sampled = sequence.samplerLogprobs !== undefined;
    const records = { sequence, score, signal, headDigest: head, sampled };
    const train = trainSequence(records, `sequences[${places[i]}].sequence.`);
    return advantages ? { ...train, advantage: advantages[i] } : train;
  });
  const ages = kept.flatMap((one, i) => agesOf(one, steps, whole[i]!.completionIds.length, `sequences[${places[i]}].sequence`));
  const tokens = sum(whole.map(({ completionIds }) => completionIds.length));
  const bytes = sum(kept.map(({ score, sequence }) => payloadBytes(score ?? {}) + (sequence.studentTopIds?.data.length ?? 0)));
  return {
    batch: whole.map((sequence) => firstTokens(sequence, settings.prefixTokens)),
    failedPrompts: sequences.length - kept.length,
    reward: rewards && sum(rewards) / rewards.length,
    meanLength: tokens / kept.length,
    finishedShare: kept.filter(({ sequence }) => sequence.finish === FinishReason.STOP).length / kept.length,
    stalenessMean: ages.length ? sum(ages) / ages.length : 0,
    stalenessMax: Math.max(0, ...ages),
    signalBytesPerToken: bytes / tokens,
  };
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** The rewards of the sequences at these places: all have one, or none. */
function rewardsOf(sequences: readonly ScoredSequenceValid[], places: readonly number[]): number[] | undefined {
  if (!places.some((i) => sequences[i]!.reward)) return undefined;
  return places.map((i) => {
    const { reward } = sequences[i]!;
    if (!reward) return refuse(`sequences[${i}].reward`, "is missing, and other sequences have one; give all a reward, or a failure");
    if (!Number.isFinite(reward.value)) refuse(`sequences[${i}].reward.value`, `is ${reward.value}; it must be a finite number`);
    return reward.value;
  });
}

/** How many versions old each sampled token's policy is; nothing where that is not said. */
function agesOf({ sequence }: ScoredSequenceValid, steps: number, tokens: number, where: string): number[] {
  const { policyVersions } = sequence;
  if (!policyVersions) return [];
  const versions = toUint32(policyVersions, `${where}.policyVersions`);
  if (versions.length !== tokens) refuse(`${where}.policyVersions`, `has ${versions.length} entries for ${tokens} completion tokens`);
  const future = versions.find((version) => version > steps);
  if (future !== undefined) refuse(`${where}.policyVersions`, `names version ${future}; this learner has made ${counted(steps, "step")}`);
  return Array.from(versions, (version) => steps - version);
}
