import { create, toBinary } from "@bufbuild/protobuf";
import { found } from "../../base/found.js";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { type PromptTask, PromptTaskSchema } from "../../gen/retort/v1/flow_pb.js";
import { messageId, subjects } from "../subjects.js";
import { groupsWithin, mostBytesTogether } from "../together.js";

/** Hands a task to its sampler. The same task published again within the duplicate window is dropped. */
export async function publishTask(streams: Streams, task: PromptTask): Promise<void> {
  const key = found(task.key, "the task's key");
  await publish(streams, subjects.prompt(key, task.sampler), toBinary(PromptTaskSchema, task), { messageId: messageId(key, "task") });
}

/**
 * Hands tasks of one step to their samplers, in their order: as many together as have `prompts` prompts.
 *
 * @throws InvalidArgument if one of them alone exceeds what the server takes
 */
export async function publishTasks(streams: Streams, tasks: readonly PromptTask[], prompts: number): Promise<void> {
  const sizesOf = (task: PromptTask) => [task.prompts.length, toBinary(PromptTaskSchema, task).length];
  const most = [prompts, mostBytesTogether(streams.connection.info?.max_payload)];
  for (const [first, ...together] of groupsWithin(tasks, sizesOf, most))
    await publishTask(streams, create(PromptTaskSchema, { ...first, together }));
}
