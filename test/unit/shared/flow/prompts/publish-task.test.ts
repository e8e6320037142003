import { create, toBinary } from "@bufbuild/protobuf";
import { toRecord } from "../../../../../services/shared/flow/arrays.js";
import { publishTasks } from "../../../../../services/shared/flow/prompts/publish-task.js";
import { readRecord } from "../../../../../services/shared/flow/read-record.js";
import { membersOf } from "../../../../../services/shared/flow/together.js";
import { type PromptTask, PromptTaskSchema, Purpose } from "../../../../../services/shared/gen/retort/v1/flow_pb.js";
import { keepingStreams } from "../../../../support/fuzz/records.js";

const taskOf = (task: number, prompts: number, { length = 4, temperature = 1 } = {}): PromptTask =>
  create(PromptTaskSchema, {
    key: { runId: "r", purpose: Purpose.TRAIN, step: 1, task, attempt: 1 },
    prompts: Array.from({ length: prompts }, (_, index) => ({ index, ids: toRecord(new Int32Array(length).fill(3)) })),
    samplesPerPrompt: 1,
    sampling: { temperature, maxNewTokens: 4 },
  });

describe("publishTasks()", () => {
  /** The numbers of the tasks of each message. */
  const messagesOf = async (tasks: readonly PromptTask[], prompts: number, maxPayload = 1 << 20) => {
    const { streams, kept } = keepingStreams();
    Object.assign(streams.connection, { info: { max_payload: maxPayload } });
    await publishTasks(streams, tasks, prompts);
    return [...kept.values()].map((data) => membersOf(readRecord(PromptTaskSchema, data)).map(({ key }) => key.task));
  };

  it("puts tasks together up to a number of prompts, in their order", async () => {
    const tasks = [2, 2, 2, 1, 2, 8, 1].map((prompts, task) => taskOf(task, prompts));
    expect(await messagesOf(tasks, 4)).toEqual([[0, 1], [2, 3], [4], [5], [6]]);
    expect(await messagesOf(tasks, 100)).toEqual([[0, 1, 2, 3, 4, 5, 6]]);
    expect(await messagesOf([], 100)).toEqual([]);
  });

  it("puts no more together than half a message holds", async () => {
    const tasks = Array.from({ length: 4 }, (_, task) => taskOf(task, 1, { length: 1000 }));
    expect(await messagesOf(tasks, 100, 20_000)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("is read only where its tasks can be written together", () => {
    const read = (...together: PromptTask[]) => {
      const task = create(PromptTaskSchema, { ...taskOf(0, 1), together });
      return () => readRecord(PromptTaskSchema, toBinary(PromptTaskSchema, task));
    };
    expect(read(taskOf(1, 1))).not.toThrow();
    expect(read(taskOf(1, 1, { temperature: 0.5 }))).toThrow(/same sampling/);
    expect(read(create(PromptTaskSchema, { ...taskOf(1, 1), together: [taskOf(2, 1)] }))).toThrow(/none of them further ones/);
  });
});
