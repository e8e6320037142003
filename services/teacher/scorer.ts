import { hostname } from "node:os";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { SharedTime } from "../shared/base/shared-time.js";
import type { Streams } from "../shared/base/streams/connection.js";
import type { Delivery } from "../shared/base/streams/consume.js";
import { toScoreRecord } from "../shared/codec/score-record.js";
import { signalOf } from "../shared/codec/signal-spec.js";
import { teacherInput } from "../shared/codec/train-sequence.js";
import { toInt32, toRecord, toUint32 } from "../shared/flow/arrays.js";
import { payloadBytes } from "../shared/flow/results/payload.js";
import { publishScore } from "../shared/flow/results/publish-results.js";
import { sequencesDigest } from "../shared/flow/rollouts/digest.js";
import { readRollout } from "../shared/flow/rollouts/publish-rollout.js";
import { membersOf } from "../shared/flow/together.js";
import {
  FinishReason,
  Purpose,
  type RolloutValid,
  type Sequence,
  type SequenceScoreSchema,
  Source,
  TeacherScoreSchema,
} from "../shared/gen/retort/v1/flow_pb.js";
import type { Score, Signal } from "../shared/ml/signals/score.js";
import type { ScoreInput } from "../shared/ml/signals/signal.js";
import { signals } from "../shared/ml/signals/table.js";
import type { CompletionText, CompletionTokens } from "../shared/ml/text/completion-tokens.js";
import type { ScoreCache } from "./score-cache.js";

type SequenceScoreInit = MessageInitShape<typeof SequenceScoreSchema>;

/** What rollouts are scored with. */
export interface ScoringWeights {
  readonly digest: string;
  /** Digest of the weights that turn hidden states into logits; empty where none are sent. */
  readonly headDigest: string;
  /** The student's, of a teacher that follows it. */
  readonly version?: number;
  /** For text that is not the student's; undefined keeps nothing. */
  readonly cache: ScoreCache | undefined;
}

/** What the scorer needs of its surroundings. */
export interface ScorerContext {
  readonly streams: Streams;
  readonly teacher: string;
  readonly maxStaleness: number;
  readonly maxAttempts: number;
  /**
   * Runs work with the weights that a rollout, and those that came with it, are to be scored with.
   *
   * @returns undefined if no one waits for the rollout any more
   */
  readonly under: <T>(rollout: RolloutValid, signal: AbortSignal, work: (weights: ScoringWeights) => Promise<T>) => Promise<T | undefined>;
  readonly score: (inputs: readonly ScoreInput[], signal: Signal) => Promise<readonly Score[]>;
  /** Texts in the teacher's own tokens, where the signal's tokenizer is `own`; or why one has none. */
  readonly tokens: (completions: readonly CompletionText[]) => Promise<readonly (CompletionTokens | string)[]>;
  /** What the rollouts' seconds are counted by. */
  readonly time: SharedTime;
  /** Told of every rollout: completion tokens, seconds, and bytes of signal that were sent for them. */
  readonly done: (tokens: number, seconds: number, bytes: number, signal: Signal["kind"]) => void;
}

/** Surroundings with weights in them. */
type Scoring = ScorerContext & ScoringWeights;

const worker = `${hostname()}/${process.pid}`;

/** What the scoring of one rollout begins with. */
interface Job {
  /** Why a sequence isn't scored; empty for those that are. */
  readonly outcomes: readonly string[];
  /** Sequences to be scored. */
  readonly inputs: readonly TextInput[];
  /** Scores that the cache has, as the inputs are. */
  readonly known: readonly (SequenceScoreInit | undefined)[];
  readonly cache: ScoreCache | undefined;
}

/** A sequence to be scored. */
interface TextInput extends ScoreInput {
  /** Of a text in the teacher's own tokens: bytes of each; they are sent with the score. */
  readonly byteLengths?: Uint16Array;
}

/** What a rollout gets. */
interface Scored {
  readonly scores: readonly SequenceScoreInit[];
  readonly cacheLookups: number;
  readonly cacheHits: number;
}

/**
 * Handles a message: scores the sequences of its rollouts together, stores the score of each rollout. A sequence that cannot be
 * scored, or is too stale to be worth it, is a recorded outcome; so are whole rollouts where the weights for them are at fault.
 * Handling a rollout twice is harmless: the first stored score counts.
 */
export async function scoreRollouts({ data, attempt, signal: stop }: Delivery, context: ScorerContext): Promise<void> {
  const rollouts = membersOf(readRollout(data));
  const { signal: asked } = rollouts[0];
  if (!asked) throw new RetortError("InvalidArgument", "the rollout asks for no signal; one that names a teacher must");
  const signal = signalOf(asked);
  let isUnder = false;
  try {
    await context.under(rollouts[0], stop, (weights) => {
      isUnder = true;
      return scoreUnder(rollouts, signal, attempt, { ...context, ...weights });
    });
  } catch (reason) {
    if (isUnder) throw reason;
    const without = { ...context, digest: "", headDigest: "", cache: undefined };
    await publishOutcomes(
      rollouts,
      signal,
      attempt,
      without,
      rollouts.map(() => ({ status: "rejected", reason })),
    );
  }
}

async function scoreUnder(rollouts: readonly RolloutValid[], signal: Signal, attempt: number, context: Scoring): Promise<void> {
  const scored = scoreAll(rollouts, signal, context);
  const timed = rollouts.map((_, i) => context.time.of(() => scored[i]!));
  // All are waited for: one that fails keeps no other from its result.
  await publishOutcomes(rollouts, signal, attempt, context, await Promise.allSettled(timed));
}

/** What came of a rollout, and how long that took. */
type Outcome = PromiseSettledResult<{ readonly result: Scored; readonly seconds: number }>;

async function publishOutcomes(
  rollouts: readonly RolloutValid[],
  signal: Signal,
  attempt: number,
  context: Scoring,
  outcomes: readonly Outcome[],
): Promise<void> {
  const failed: unknown[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    try {
      await publishOutcome(rollouts[i]!, signal, outcome, attempt, context);
    } catch (error) {
      failed.push(error);
    }
  }
  if (failed.length > 0) throw failed[0];
}

async function publishOutcome(rollout: RolloutValid, signal: Signal, outcome: Outcome, attempt: number, context: Scoring): Promise<void> {
  const allFail = (failure: string) => rollout.sequences.map((): SequenceScoreInit => ({ failure }));
  const { result, seconds } =
    outcome.status === "fulfilled"
      ? outcome.value
      : { result: { scores: allFail(failureOf(outcome.reason, attempt, context)), cacheLookups: 0, cacheHits: 0 }, seconds: 0 };
  const recordOf = (scores: readonly SequenceScoreInit[]) =>
    create(TeacherScoreSchema, {
      key: rollout.key,
      teacher: context.teacher,
      teacherDigest: context.digest,
      headDigest: signals[signal.kind].needsHead ? context.headDigest : "",
      ...(rollout.signal && { signal: rollout.signal }),
      ...(context.version !== undefined && { teacherVersion: context.version }),
      sequencesDigest: sequencesDigest(rollout.sequences, rollout.signal),
      worker,
      seconds,
      ...result,
      scores: [...scores],
    });
  await publishScore(context.streams, recordOf(result.scores)).catch((error: unknown) => {
    const { code, message } = RetortError.from(error);
    if (code !== "InvalidArgument") throw error;
    // Too large for a message: an outcome too, or the learner would wait for it.
    return publishScore(context.streams, recordOf(allFail(message)));
  });
  context.done(
    rollout.sequences.reduce((sum, { completionIds }) => sum + (completionIds?.shape[0] ?? 0), 0),
    seconds,
    result.scores.reduce((sum, score) => sum + payloadBytes(score), 0),
    signal.kind,
  );
}

/** Why a rollout counts as failed. @throws what fails it, where it is to be tried again */
function failureOf(reason: unknown, attempt: number, { maxAttempts }: ScorerContext): string {
  const error = RetortError.from(reason);
  if (!error.isFinal(attempt, maxAttempts)) throw error;
  return error.message;
}

/** The scores of rollouts, made together: of each a promise of its own. */
function scoreAll(rollouts: readonly RolloutValid[], signal: Signal, context: Scoring): Promise<Scored>[] {
  const jobs = rollouts.map((rollout) => jobOf(rollout, signal, context));
  const made = Promise.allSettled(jobs).then((settled) => {
    const missing = settled.map((job) => (job.status === "fulfilled" ? missingOf(job.value) : []));
    return scoreTogether(missing, signal, context.score);
  });
  return jobs.map(async (job, i) => {
    const all = await made;
    const { inputs, outcomes, known, cache } = await job;
    const own = await all[i]!;
    await cache?.keep(missingOf({ inputs, known }), signal, own);
    let [taken, at] = [0, 0];
    const scores = inputs.map((_, n) => known[n] ?? own[taken++]!);
    return {
      scores: outcomes.map((failure) => (failure ? { failure } : scores[at++]!)),
      cacheLookups: cache ? inputs.length : 0,
      cacheHits: known.filter(Boolean).length,
    };
  });
}

const missingOf = ({ inputs, known }: Pick<Job, "inputs" | "known">): TextInput[] => inputs.filter((_, i) => !known[i]);

async function jobOf(rollout: RolloutValid, signal: Signal, { maxStaleness, cache: all, tokens }: Scoring): Promise<Job> {
  const { sequences } = rollout;
  const outcomes = sequences.map((sequence) => sequence.failure || staleness(rollout, sequence, maxStaleness));
  const wanted = [...sequences.keys()].filter((i) => !outcomes[i]);
  const inputs: TextInput[] = [];
  if (rollout.signal?.tokenizer === "own") {
    const read = await tokens(wanted.map((i) => completionText(sequences[i]!)));
    wanted.forEach((i, n) => {
      const own = read[n]!;
      if (typeof own === "string") outcomes[i] = own;
      else inputs.push({ promptIds: ownPrompt(sequences[i]!), completionIds: own.ids, byteLengths: own.byteLengths });
    });
  } else inputs.push(...wanted.map((i) => teacherInput(sequences[i]!)));
  const cache = rollout.source === Source.STUDENT ? undefined : all;
  return { outcomes, inputs, cache, known: (await cache?.find(inputs, signal))?.scores ?? [] };
}

/** A completion as a teacher reads it in its own tokens. */
const completionText = (sequence: Sequence): CompletionText => ({
  promptIds: ownPrompt(sequence),
  text: sequence.completionText,
  endId: sequence.finish === FinishReason.STOP ? sequence.teacherEndId : undefined,
});

/** The prompt in the teacher's own tokens, which the learner has made. */
const ownPrompt = ({ teacherPromptIds }: Sequence): Int32Array => toInt32(teacherPromptIds, "teacherPromptIds");

/** Scores lists of sequences at once; if that fails, each list by itself, so that it is only the one at fault that fails. */
async function scoreTogether(
  lists: readonly (readonly TextInput[])[],
  signal: Signal,
  score: ScorerContext["score"],
): Promise<Promise<SequenceScoreInit[]>[]> {
  if (lists.length === 1) return [scoreGood(lists[0]!, signal, score)];
  try {
    const made = (await scored(lists.flat(), signal, score)).values();
    return lists.map(async (inputs) => inputs.map(() => made.next().value as SequenceScoreInit));
  } catch (error) {
    if (RetortError.from(error).disposition === "giveBack") throw error;
    const results: Promise<SequenceScoreInit[]>[] = [];
    for (const inputs of lists) {
      const own = scoreGood(inputs, signal, score);
      results.push(own);
      await own.catch(() => {});
    }
    return results;
  }
}

async function scored(inputs: readonly TextInput[], signal: Signal, score: ScorerContext["score"]): Promise<SequenceScoreInit[]> {
  if (inputs.length === 0) return [];
  return (await score(inputs, signal)).map((one, i) => {
    const { completionIds, byteLengths } = inputs[i]!;
    return { ...toScoreRecord(one, completionIds.length), ...(byteLengths && { byteLengths: toRecord(byteLengths) }) };
  });
}

/** Scores all at once; if one of them is at fault, each alone. */
async function scoreGood(inputs: readonly TextInput[], signal: Signal, score: ScorerContext["score"]): Promise<SequenceScoreInit[]> {
  try {
    return await scored(inputs, signal, score);
  } catch (error) {
    const known = RetortError.from(error);
    const ofInput = known.code === "InvalidArgument" || known.code === "OutOfRange";
    if (!ofInput) throw error;
    if (inputs.length === 1) return [{ failure: known.message }];
    const results: SequenceScoreInit[] = [];
    for (const input of inputs) results.push(...(await scoreGood([input], signal, score)));
    return results;
  }
}

/** Why a sequence is too old for its step, or nothing: checked before the forward pass is paid for. */
function staleness({ key }: RolloutValid, { policyVersions }: Sequence, maxStaleness: number): string {
  if (key.purpose !== Purpose.TRAIN || !policyVersions) return "";
  const oldest = toUint32(policyVersions, "policyVersions").reduce((a, b) => Math.min(a, b));
  const age = key.step - 1 - oldest;
  return age > maxStaleness ? `sampled ${age} versions before its step; maxStaleness is ${maxStaleness}` : "";
}
