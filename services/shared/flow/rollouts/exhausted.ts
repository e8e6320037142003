import { create } from "@bufbuild/protobuf";
import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import type { Log } from "../../base/log.js";
import { discard, type Exhausted, onExhausted } from "../../base/streams/advisories.js";
import type { Streams } from "../../base/streams/connection.js";
import { PromptTaskSchema, RewardSchema, TeacherScoreSchema } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import { publishReward, publishScore } from "../results/publish-results.js";
import { durables, streamNames } from "../streams.js";
import { membersOf } from "../together.js";
import { sequencesDigest } from "./digest.js";
import { publishRollout, readRollout } from "./publish-rollout.js";
import { failedSequence, rolloutOf, samplesOf } from "./sequences.js";

/**
 * Records the outcome of every record of a run that no worker survived: one whose handling ended its process each time,
 * until the server gave it up. Without this its step would wait for it in vain.
 *
 * @returns a function that stops it
 */
export function recordExhausted(streams: Streams, runId: string, log: Log): () => void {
  const own = (handler: (message: Exhausted) => Promise<void>) => async (message: Exhausted) => {
    if (message.subject.split(".")[2] !== runId) return;
    const { subject, durable, deliveries } = message;
    log.warn({ subject, durable, deliveries }, "a record that no worker could handle counts as failed");
    await handler(message).catch((error: unknown) => {
      // One that cannot even be read, or whose step is over, has no outcome to record.
      if (RetortError.from(error).disposition !== "terminate") throw error;
    });
    // A rollout may still be wanted by its other readers: an interest stream removes it by itself, at the latest at the run's end.
    if (message.stream === streamNames.prompts) await discard(streams, message.stream, message.sequence);
  };
  const stops = [
    onExhausted(
      streams,
      streamNames.prompts,
      own((message) => failTask(streams, message)),
    ),
    onExhausted(
      streams,
      streamNames.rollouts,
      own((message) => failRollout(streams, runId, message)),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

const reasonOf = ({ deliveries }: Exhausted): string => `its workers were lost (${counted(deliveries, "delivery", "deliveries")})`;

async function failTask(streams: Streams, message: Exhausted): Promise<void> {
  for (const task of membersOf(readRecord(PromptTaskSchema, message.data))) {
    const sequences = samplesOf(task).map((sample) => failedSequence(task, sample, reasonOf(message)));
    await publishRollout(streams, rolloutOf(task, sequences, "", 0));
  }
}

async function failRollout(streams: Streams, runId: string, message: Exhausted): Promise<void> {
  for (const { key, sequences, signal, teacher } of membersOf(readRollout(message.data))) {
    const failures = sequences.map(() => ({ failure: reasonOf(message) }));
    const sequencesOf = { sequencesDigest: sequencesDigest(sequences, signal), signal, teacher };
    if (message.durable === durables.reward(runId)) await publishReward(streams, create(RewardSchema, { key, rewards: failures }));
    else await publishScore(streams, create(TeacherScoreSchema, { key, ...sequencesOf, scores: failures }));
  }
}
