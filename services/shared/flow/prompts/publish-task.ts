import { toBinary } from "@bufbuild/protobuf";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { type PromptTask, PromptTaskSchema } from "../../gen/retort/v1/flow_pb.js";
import { messageId, subjects } from "../subjects.js";

/** Hands a task to whoever samples it. The same task published again within the duplicate window is dropped. */
export async function publishTask(streams: Streams, task: PromptTask): Promise<void> {
  await publish(streams, subjects.prompt(task.key!, task.sampler), toBinary(PromptTaskSchema, task), {
    messageId: messageId(task.key!, "task"),
  });
}
