import { toBinary } from "@bufbuild/protobuf";
import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { type Reward, RewardSchema, type TaskKey, type TeacherScore, TeacherScoreSchema } from "../../gen/retort/v1/flow_pb.js";
import { messageId, type ResultKind, subjects } from "../subjects.js";

/** Stores a teacher's score of a task; a second one is refused, which is as good. */
export const publishScore = (streams: Streams, score: TeacherScore): Promise<void> =>
  store(streams, score.key, "score", toBinary(TeacherScoreSchema, score));

/** Stores the rewards of a task; a second time is refused, which is as good. */
export const publishReward = (streams: Streams, reward: Reward): Promise<void> =>
  store(streams, reward.key, "reward", toBinary(RewardSchema, reward));

async function store(streams: Streams, key: TaskKey | undefined, kind: ResultKind, bytes: Uint8Array): Promise<void> {
  if (!key) throw new RetortError("Internal", `a ${kind} without its task's key cannot be stored`);
  await publish(streams, subjects.result(key, kind), bytes, { messageId: messageId(key, kind) });
}
