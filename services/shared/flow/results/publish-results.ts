import { toBinary } from "@bufbuild/protobuf";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { type Reward, RewardSchema, type TeacherScore, TeacherScoreSchema } from "../../gen/retort/v1/flow_pb.js";
import { messageId, subjects } from "../subjects.js";

/** Stores a teacher's score of a task; a second one is refused, which is as good. */
export async function publishScore(streams: Streams, score: TeacherScore): Promise<void> {
  await publish(streams, subjects.result(score.key!, "score"), toBinary(TeacherScoreSchema, score), {
    messageId: messageId(score.key!, "score"),
  });
}

/** Stores the rewards of a task; a second time is refused, which is as good. */
export async function publishReward(streams: Streams, reward: Reward): Promise<void> {
  await publish(streams, subjects.result(reward.key!, "reward"), toBinary(RewardSchema, reward), {
    messageId: messageId(reward.key!, "reward"),
  });
}
