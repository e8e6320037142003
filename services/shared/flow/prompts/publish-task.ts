import { create, toBinary } from "@bufbuild/protobuf";
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

/** Part of a message that tasks may take together. */
const groupShare = 0.5;

/**
 * Hands tasks of one step to their samplers, in their order: as many together as have `prompts` prompts.
 *
 * @throws InvalidArgument if one of them alone exceeds what the server takes
 */
export async function publishTasks(streams: Streams, tasks: readonly PromptTask[], prompts: number): Promise<void> {
  const most = groupShare * (streams.connection.info?.max_payload ?? Number.POSITIVE_INFINITY);
  for (const [first, ...together] of groupsOf(tasks, prompts, most))
    await publishTask(streams, create(PromptTaskSchema, { ...first, together }));
}

/** Tasks in their order, in groups of so many prompts and bytes at most; a larger one stands alone. */
function groupsOf(tasks: readonly PromptTask[], prompts: number, mostBytes: number): [PromptTask, ...PromptTask[]][] {
  const groups: [PromptTask, ...PromptTask[]][] = [];
  let [count, bytes] = [0, 0];
  for (const task of tasks) {
    const size = toBinary(PromptTaskSchema, task).length;
    const last = groups.at(-1);
    if (last && count + task.prompts.length <= prompts && bytes + size <= mostBytes) last.push(task);
    else {
      groups.push([task]);
      [count, bytes] = [0, 0];
    }
    count += task.prompts.length;
    bytes += size;
  }
  return groups;
}

/** The tasks of a message. */
export const tasksIn = <T extends { readonly together: readonly T[] }>(task: T): readonly T[] => [task, ...task.together];
