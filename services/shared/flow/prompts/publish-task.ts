import { toBinary } from "@bufbuild/protobuf";
import { found } from "../../base/found.js";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { type PromptTask, PromptTaskSchema } from "../../gen/retort/v1/flow_pb.js";
import { messageId, subjects } from "../subjects.js";

/** Hands a task to its sampler. The same task published again within the duplicate window is dropped. */
export async function publishTask(streams: Streams, task: PromptTask): Promise<void> {
  const key = found(task.key, "the task's key");
  await publish(streams, subjects.prompt(key, task.sampler), toBinary(PromptTaskSchema, task), { messageId: messageId(key, "task") });
}
