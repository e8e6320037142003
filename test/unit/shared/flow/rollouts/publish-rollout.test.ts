import { create, toBinary } from "@bufbuild/protobuf";
import { toRecord } from "../../../../../services/shared/flow/arrays.js";
import { RolloutSender, readRollout } from "../../../../../services/shared/flow/rollouts/publish-rollout.js";
import { membersOf } from "../../../../../services/shared/flow/together.js";
import { Purpose, type Rollout, RolloutSchema } from "../../../../../services/shared/gen/retort/v1/flow_pb.js";
import { keepingStreams } from "../../../../support/fuzz/records.js";

const rolloutOf = (task: number, tokens: number, { teacher = "t", rewarded = false, step = 1, k = 4 } = {}): Rollout =>
  create(RolloutSchema, {
    key: { runId: "r", purpose: Purpose.TRAIN, step, task, attempt: 1 },
    sequences: [{ promptIds: toRecord(new Int32Array(tokens - 1)), completionIds: toRecord(Int32Array.of(1)) }],
    teacher,
    rewarded,
    signal: { kind: "top_k", k, temperature: 1 },
  });

describe("RolloutSender", () => {
  /** What was stored, and the numbers of the tasks of each message that was sent on. */
  const sentOf = async (rollouts: readonly Rollout[], maxPayload = 1 << 20) => {
    const { streams, kept } = keepingStreams();
    Object.assign(streams.connection, { info: { max_payload: maxPayload } });
    const sender = new RolloutSender(streams);
    await Promise.all([...rollouts.map((rollout) => sender.add(rollout)), sender.end()]);
    const of = (flow: string) => [...kept].filter(([subject]) => subject.startsWith(`retort.${flow}.`));
    return {
      stored: of("results").length,
      messages: of("rollouts").map(([, bytes]) => membersOf(readRollout(bytes)).map(({ key }) => key.task)),
    };
  };

  it("stores each, and sends as many together as are enough work, in the order in which they came", async () => {
    const { stored, messages } = await sentOf([5, 3, 8, 1, 9, 2].map((task) => rolloutOf(task, 200)));
    expect(stored).toBe(6);
    expect(messages).toEqual([
      [5, 3, 8],
      [1, 9, 2],
    ]);
    expect((await sentOf([0, 1, 2].map((task) => rolloutOf(task, 512)))).messages).toEqual([[0], [1], [2]]);
    expect((await sentOf([])).messages).toEqual([]);
  });

  it("keeps those of other readers apart, and sends on nothing that nobody reads", async () => {
    const rollouts = ["a", "b", "a", "", "b"].map((teacher, task) => rolloutOf(task, 10, { teacher }));
    const { stored, messages } = await sentOf([...rollouts, rolloutOf(5, 10, { teacher: "a", rewarded: true })]);
    expect(stored).toBe(6);
    expect(messages).toEqual([[0, 2], [1, 4], [5]]);
  });

  it("sends no more together than half a message holds", async () => {
    const rollouts = [0, 1, 2, 3].map((task) => rolloutOf(task, 100));
    expect((await sentOf(rollouts, 2000)).messages).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });
});

describe("readRollout()", () => {
  it("reads a message only where its rollouts can be scored together", () => {
    const read = (...together: Rollout[]) => {
      const bytes = toBinary(RolloutSchema, create(RolloutSchema, { ...rolloutOf(0, 3), together }));
      return () => readRollout(bytes);
    };
    expect(read(rolloutOf(1, 3), rolloutOf(2, 9))).not.toThrow();
    const others = [
      rolloutOf(1, 3, { teacher: "u" }),
      rolloutOf(1, 3, { rewarded: true }),
      rolloutOf(1, 3, { step: 2 }),
      rolloutOf(1, 3, { k: 5 }),
      create(RolloutSchema, { ...rolloutOf(1, 3), teacherVersion: 4 }),
    ];
    for (const other of others) expect(read(other)).toThrow(/same step, teacher and its version, signal and reward/);
    expect(read(create(RolloutSchema, { ...rolloutOf(1, 3), together: [rolloutOf(2, 3)] }))).toThrow(/none of them further ones/);
  });
});
