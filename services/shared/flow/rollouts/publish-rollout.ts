import { toBinary } from "@bufbuild/protobuf";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { lastMessage } from "../../base/streams/read.js";
import { type Rollout, RolloutSchema, type RolloutValid, type TaskKey } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import { streamNames } from "../streams.js";
import { messageId, subjects } from "../subjects.js";

/**
 * Stores a rollout as its task's one result, then sends it on to be scored and rewarded. If another attempt's
 * rollout was stored first, that one is sent on: all see the same sequences.
 */
export async function publishRollout(streams: Streams, rollout: Rollout): Promise<void> {
  const key = found(rollout.key, "the rollout's key");
  const bytes = toBinary(RolloutSchema, rollout);
  const outcome = await publish(streams, subjects.result(key, "rollout"), bytes, { messageId: messageId(key, "rollout") });
  const kept = outcome === "stored" ? bytes : await storedRollout(streams, key);
  if (!rollout.teacher && !rollout.rewarded) return;
  await publish(streams, subjects.rollout(key, rollout.teacher), kept, { messageId: messageId(key, "sent") });
}

async function storedRollout(streams: Streams, key: TaskKey): Promise<Uint8Array> {
  const bytes = await lastMessage(streams, streamNames.results, subjects.result(key, "rollout"));
  if (!bytes)
    throw new RetortError("FailedPrecondition", `the rollout of task ${key.task} came too late: step ${key.step} has been trained already`);
  return bytes;
}

/** Reads a rollout record. @throws DataLoss if the bytes are no rollout */
export const readRollout = (bytes: Uint8Array): RolloutValid => readRecord(RolloutSchema, bytes);
