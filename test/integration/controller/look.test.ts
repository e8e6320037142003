import { look } from "../../../services/controller/runs/look.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { durables, ensureRun, ensureStreams, removeRun, streamNames } from "../../../services/shared/flow/streams.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { TestNats } from "../../support/servers/nats.js";

describe("look()", () => {
  let nats: TestNats;
  let streams: Streams;
  let runs: RunStore;
  const consumers = { teachers: ["a", "b"], rewarded: true, maxAttempts: 3 };
  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    runs = await RunStore.open(streams);
    for (const [runId, state] of [
      ["going", RunState.RUNNING],
      ["held", RunState.PAUSED],
      ["over", RunState.FAILED],
    ] as const) {
      await runs.create(newRun({ runId, state }));
      await ensureRun(streams, { runId, ...consumers });
    }
    await removeRun(streams, { runId: "over", ...consumers });
  });
  afterAll(() => nats.stop());

  it("tells of the runs that are not over, and of no message where there is none", async () => {
    const { runs: found, queues } = await look(streams, runs);
    expect(Object.fromEntries(found)).toEqual({ going: "running", held: "paused" });
    expect(queues.every(({ waiting, inHand }) => waiting === 0 && inHand === 0)).toBe(true);
    const own = queues.filter(({ run }) => run === "going").map(({ role, teacher, stream }) => `${role}/${teacher} ${stream}`);
    expect(own.sort()).toEqual(
      [
        ...["student/", "teacher/a", "teacher/b"].map((who) => `${who} ${streamNames.prompts}`),
        ...["reward/", "teacher/a", "teacher/b"].map((who) => `${who} ${streamNames.rollouts}`),
      ].sort(),
    );
  });

  it("tells what waits and what is in hand, by role and teacher, and how full the streams are", async () => {
    for (const task of [0, 1, 2]) {
      await publish(streams, `retort.prompts.going.student.1.${task}`, new Uint8Array(100), { messageId: `p${task}` });
      await publish(streams, `retort.rollouts.going.b.1.${task}`, new Uint8Array(100), { messageId: `r${task}` });
    }
    const consumer = await streams.js.consumers.get(streamNames.prompts, durables.student("going"));
    await consumer.next();
    const { queues, streams: sizes, storedBytes } = await look(streams, runs);
    const there = queues.filter(({ waiting, inHand }) => waiting + inHand > 0).map(({ stream: _, ...rest }) => rest);
    expect(there.sort((a, b) => a.role.localeCompare(b.role))).toEqual([
      { run: "going", role: "reward", teacher: "", waiting: 3, inHand: 0 },
      { run: "going", role: "student", teacher: "", waiting: 2, inHand: 1 },
      { run: "going", role: "teacher", teacher: "b", waiting: 3, inHand: 0 },
    ]);
    const prompts = sizes.find(({ stream }) => stream === streamNames.prompts)!;
    expect(prompts.bytes).toBeGreaterThan(300);
    expect(prompts.limitBytes).toBeGreaterThan(prompts.bytes);
    expect(storedBytes).toBeGreaterThan(prompts.bytes);
  });

  it("gives up on a server that doesn't answer", async () => {
    const silent = { live: () => new Promise(() => {}) } as unknown as Streams;
    await expect(look(silent, runs, 50)).rejects.toMatchObject({ code: "Unavailable" });
  });
});
