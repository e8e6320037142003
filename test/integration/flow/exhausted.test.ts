import { create, fromBinary } from "@bufbuild/protobuf";
import { nanos } from "@nats-io/transport-node";
import { createLog } from "../../../services/shared/base/log.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { lastMessage } from "../../../services/shared/base/streams/read.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import { publishTask, publishTasks } from "../../../services/shared/flow/prompts/publish-task.js";
import { sequencesDigest } from "../../../services/shared/flow/rollouts/digest.js";
import { recordExhausted } from "../../../services/shared/flow/rollouts/exhausted.js";
import { RolloutSender } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { durables, ensureRun, ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";
import { type ResultKind, subjects } from "../../../services/shared/flow/subjects.js";
import {
  PromptTaskSchema,
  Purpose,
  RewardSchema,
  RolloutSchema,
  Source,
  TaskKeySchema,
  TeacherScoreSchema,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

const runId = "doomed";
const signal = { kind: "top_k", k: 4, temperature: 1 } as const;
const ids = (...values: number[]) => toRecord(Int32Array.from(values));

describe("recordExhausted()", () => {
  let nats: TestNats;
  let streams: Streams;
  let stop: () => void;
  const log = createLog("test", { level: "silent", format: "json" });

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    await ensureRun(streams, { runId, teachers: ["default"], rewarded: true, maxAttempts: 2 });
    stop = recordExhausted(streams, runId, log);
  });
  afterAll(async () => {
    stop();
    await nats.stop();
  });

  const key = (task: number) => ({ runId, purpose: Purpose.TRAIN, step: 1, task, attempt: 1 });

  /** Takes every message of a consumer and never answers, as a process that dies does. */
  const dieOver = async (stream: string, durable: string, gone: () => Promise<boolean>) => {
    await streams.manager.consumers.update(stream, durable, { ack_wait: nanos(200) });
    const consumer = await streams.js.consumers.get(stream, durable);
    await eventually(`the outcome of what ${durable} took`, async () => {
      for await (const _ of await consumer.fetch({ max_messages: 4, expires: 1000 }));
      return gone();
    });
  };
  const stored = (task: number, kind: ResultKind) =>
    lastMessage(streams, streamNames.results, subjects.result(create(RolloutSchema, { key: key(task) }).key!, kind));

  it("records a failed sequence for every sample of a task that kills its samplers, and takes the task away", async () => {
    const prompts = [0, 1].map((index) => ({ index, ids: ids(1, 2), text: `prompt ${index}` }));
    const task = create(PromptTaskSchema, {
      key: key(0),
      prompts,
      samplesPerPrompt: 2,
      sampling: {},
      teacher: "default",
      signal,
      rewarded: true,
    });
    await publishTask(streams, task);
    await dieOver(streamNames.prompts, durables.student(runId), async () => (await stored(0, "rollout")) !== undefined);
    const { sequences, teacher, rewarded } = fromBinary(RolloutSchema, (await stored(0, "rollout"))!);
    expect(sequences.map(({ prompt, sample, failure }) => [prompt, sample, failure])).toEqual(
      [0, 1].flatMap((prompt) => [0, 1].map((sample) => [prompt, sample, "its workers were lost (7 deliveries)"])),
    );
    // Scores and rewards are still due, and will be failures too.
    expect([teacher, rewarded]).toEqual(["default", true]);
    await eventually("the task is gone", async () => (await streams.manager.streams.info(streamNames.prompts)).state.messages === 0);
  });

  it("records failed scores and rewards of a rollout that kills its teachers and judges", async () => {
    const sequences = [{ promptIds: ids(1), completionIds: ids(2, 3) }, { failure: "too long" }];
    const rollout = create(RolloutSchema, { key: key(1), source: Source.STUDENT, sequences, teacher: "default", signal, rewarded: true });
    const sender = new RolloutSender(streams);
    for (const one of [rollout, create(RolloutSchema, { ...rollout, key: create(TaskKeySchema, key(8)) })]) await sender.add(one);
    await sender.end();
    const scored = async () => (await stored(1, "score")) !== undefined && (await stored(8, "score")) !== undefined;
    await dieOver(streamNames.rollouts, durables.teacher(runId, "default"), scored);
    const score = fromBinary(TeacherScoreSchema, (await stored(1, "score"))!);
    expect(score).toMatchObject({ signal, sequencesDigest: sequencesDigest(rollout.sequences) });
    expect(score.scores.map(({ failure }) => failure)).toEqual(Array(2).fill("its workers were lost (7 deliveries)"));
    const judged = async () => (await stored(1, "reward")) !== undefined && (await stored(8, "reward")) !== undefined;
    await dieOver(streamNames.rollouts, durables.reward(runId), judged);
    for (const task of [1, 8])
      expect(fromBinary(RewardSchema, (await stored(task, "reward"))!).rewards.map(({ failure }) => failure)).toHaveLength(2);
  });

  it("survives a record that nobody can read", async () => {
    await publish(streams, subjects.prompt(create(RolloutSchema, { key: key(2) }).key!, ""), Uint8Array.of(255, 255, 255), {
      messageId: "rubbish",
    });
    const empty = async () => (await streams.manager.streams.info(streamNames.prompts)).state.messages === 0;
    await dieOver(streamNames.prompts, durables.student(runId), empty);
    // It still records what comes after, each task of a message.
    const prompts = [{ index: 0, ids: ids(1), text: "a" }];
    const tasks = [3, 4, 5].map((task) => create(PromptTaskSchema, { key: key(task), prompts, samplesPerPrompt: 1, sampling: {} }));
    await publishTasks(streams, tasks, 8);
    await dieOver(streamNames.prompts, durables.student(runId), async () => (await stored(5, "rollout")) !== undefined);
    for (const task of [3, 4, 5])
      expect(fromBinary(RolloutSchema, (await stored(task, "rollout"))!).sequences).toMatchObject([
        { failure: expect.stringContaining("lost") },
      ]);
  });
});
