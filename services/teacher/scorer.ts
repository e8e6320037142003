import { hostname } from "node:os";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { SharedTime } from "../shared/base/shared-time.js";
import type { Streams } from "../shared/base/streams/connection.js";
import type { Delivery } from "../shared/base/streams/consume.js";
import { toScoreRecord } from "../shared/codec/score-record.js";
import { signalOf } from "../shared/codec/signal-spec.js";
import { scoreInput } from "../shared/codec/train-sequence.js";
import { toUint32 } from "../shared/flow/arrays.js";
import { payloadBytes } from "../shared/flow/results/payload.js";
import { publishScore } from "../shared/flow/results/publish-results.js";
import { sequencesDigest } from "../shared/flow/rollouts/digest.js";
import { readRollout } from "../shared/flow/rollouts/publish-rollout.js";
import {
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
import type { ScoreCache } from "./score-cache.js";

type SequenceScoreInit = MessageInitShape<typeof SequenceScoreSchema>;

/** What the scorer needs of its surroundings. */
export interface ScorerContext {
  readonly streams: Streams;
  readonly teacher: string;
  readonly digest: string;
  /** Digest of the weights that turn hidden states into logits. */
  readonly headDigest: string;
  readonly maxStaleness: number;
  readonly maxAttempts: number;
  /** For text that is not the student's; undefined keeps nothing. */
  readonly cache: ScoreCache | undefined;
  readonly score: (inputs: readonly ScoreInput[], signal: Signal) => Promise<readonly Score[]>;
  /** What the rollouts' seconds are counted by. */
  readonly time: SharedTime;
  /** Told of every rollout: completion tokens, seconds, and bytes of signal that were sent for them. */
  readonly done: (tokens: number, seconds: number, bytes: number, signal: Signal["kind"]) => void;
}

const worker = `${hostname()}/${process.pid}`;

/**
 * Handles one rollout: scores every sequence that was written, stores the score. A sequence that cannot be scored, or is
 * too stale to be worth it, is a recorded outcome. Handling a rollout twice is harmless: the first stored score counts.
 */
export async function scoreRollout({ data, attempt }: Delivery, context: ScorerContext): Promise<void> {
  const rollout = readRollout(data);
  if (!rollout.signal) throw new RetortError("InvalidArgument", "the rollout asks for no signal; one that names a teacher must");
  const signal = signalOf(rollout.signal);
  const cached = { lookups: 0, hits: 0 };
  const made = context.time.of(() => scoreAll(rollout, signal, context, cached));
  const { result: scores, seconds } = await made.catch((error: unknown) => {
    const { message, disposition } = RetortError.from(error);
    // What passes by itself is no outcome. A bug may be this process's own: another one gets to try, until the last attempt.
    if (disposition === "giveBack" || (disposition === "fail" && attempt < context.maxAttempts)) throw error;
    return { result: rollout.sequences.map((): SequenceScoreInit => ({ failure: message })), seconds: 0 };
  });
  const recordOf = (scores: SequenceScoreInit[]) =>
    create(TeacherScoreSchema, {
      key: rollout.key,
      teacher: context.teacher,
      teacherDigest: context.digest,
      headDigest: signals[signal.kind].needsHead ? context.headDigest : "",
      signal: rollout.signal,
      sequencesDigest: sequencesDigest(rollout.sequences),
      scores,
      worker,
      seconds,
      cacheLookups: cached.lookups,
      cacheHits: cached.hits,
    });
  await publishScore(context.streams, recordOf(scores)).catch((error: unknown) => {
    const { code, message } = RetortError.from(error);
    if (code !== "InvalidArgument") throw error;
    // Too large for a message: an outcome too, or the learner would wait for it.
    return publishScore(context.streams, recordOf(rollout.sequences.map(() => ({ failure: message }))));
  });
  context.done(
    rollout.sequences.reduce((sum, { completionIds }) => sum + (completionIds?.shape[0] ?? 0), 0),
    seconds,
    scores.reduce((sum, score) => sum + payloadBytes(score), 0),
    signal.kind,
  );
}

async function scoreAll(
  rollout: RolloutValid,
  signal: Signal,
  context: ScorerContext,
  cached: { lookups: number; hits: number },
): Promise<SequenceScoreInit[]> {
  const outcomes = rollout.sequences.map((sequence) => sequence.failure || staleness(rollout, sequence, context.maxStaleness));
  const inputs = rollout.sequences.filter((_, i) => !outcomes[i]).map((sequence) => scoreInput(sequence));
  const cache = rollout.source === Source.STUDENT ? undefined : context.cache;
  const known = await cache?.find(inputs, signal);
  if (known) Object.assign(cached, { lookups: inputs.length, hits: known.hits });
  const missing = inputs.filter((_, i) => !known?.scores[i]);
  const made = await scoreGood(missing, signal, context.score);
  await cache?.keep(missing, signal, made);
  let [taken, at] = [0, 0];
  const scores = inputs.map((_, i) => known?.scores[i] ?? made[taken++]!);
  return outcomes.map((failure) => (failure ? { failure } : scores[at++]!));
}

/** Scores all at once; if one of them is at fault, each alone. */
async function scoreGood(inputs: readonly ScoreInput[], signal: Signal, score: ScorerContext["score"]): Promise<SequenceScoreInit[]> {
  if (inputs.length === 0) return [];
  try {
    return (await score(inputs, signal)).map((one, i) => toScoreRecord(one, inputs[i]!.completionIds.length));
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
