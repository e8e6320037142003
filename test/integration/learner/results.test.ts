import { create } from "@bufbuild/protobuf";
import { isComplete, ResultsReader } from "../../../services/learner/tasks/results-reader.js";
import { createLog } from "../../../services/shared/base/log.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { publishReward, publishScore } from "../../../services/shared/flow/results/publish-results.js";
import { publishRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { ensureRun, ensureStreams } from "../../../services/shared/flow/streams.js";
import { Purpose, RewardSchema, RolloutSchema, TeacherScoreSchema } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { TestNats } from "../../support/servers/nats.js";

const runId = "results";
const key = (task: number, step = 1) => ({ runId, purpose: Purpose.TRAIN, step, task, attempt: 1 });

describe("ResultsReader", () => {
  let nats: TestNats;
  let streams: Streams;
  let stop: AbortController;
  /** It looks at arrivals alone: a test that depends on the clock hangs. */
  const reader = () => {
    const made = new ResultsReader(streams, runId, 1n, log, 3_600_000);
    void made.read(stop.signal);
    return made;
  };
  const rollout = (task: number, fields: { teacher?: string; rewarded?: boolean } = {}, step = 1) =>
    publishRollout(streams, create(RolloutSchema, { key: key(task, step), sequences: [{ completionText: `${step}/${task}` }], ...fields }));
  const never = async () => false;
  const unhurried = { timeoutMs: 60_000, interrupted: never };
  const log = createLog("test", { level: "silent", format: "json" });

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    await ensureRun(streams, { runId, teachers: ["default"], rewarded: true, maxAttempts: 3 });
  });
  beforeEach(() => {
    stop = new AbortController();
  });
  afterEach(() => stop.abort());
  afterAll(() => nats.stop());

  it("gives a step's tasks in order when each has all that is due to it, however it arrives", async () => {
    const found = reader().wait("1", 3, unhurried);
    await publishScore(streams, create(TeacherScoreSchema, { key: key(2) }));
    await publishReward(streams, create(RewardSchema, { key: key(1) }));
    await rollout(2, { teacher: "default" });
    await rollout(1, { rewarded: true });
    await rollout(0);
    const complete = (await found)!.filter(isComplete);
    expect(complete.map(({ rollout, score, reward }) => [rollout.sequences[0]!.completionText, Boolean(score), Boolean(reward)])).toEqual([
      ["1/0", false, false],
      ["1/1", false, true],
      ["1/2", true, false],
    ]);
  });

  it("knows after a restart what was stored before it", async () => {
    await rollout(0, {}, 2);
    expect(await reader().wait("2", 1, unhurried)).toHaveLength(1);
  });

  it("does not miss the last result when it arrives while the wait asks whether to go on", async () => {
    const made = reader();
    const other = reader();
    const asked = async () => {
      await rollout(0, {}, 3);
      // Another reader has it by now, and this one, which was first, as well.
      await other.wait("3", 1, unhurried);
      return false;
    };
    expect(await made.wait("3", 1, { timeoutMs: 60_000, interrupted: asked })).toHaveLength(1);
  });

  it("says what is missing when its time is up", async () => {
    await rollout(0, { teacher: "default" }, 4);
    await rollout(1, { rewarded: true }, 4);
    const made = new ResultsReader(streams, runId, 1n, log, 10);
    void made.read(stop.signal);
    await expect(made.wait("4", 4, { timeoutMs: 500, interrupted: never })).rejects.toMatchObject({
      code: "DeadlineExceeded",
      retry: "never",
      message:
        "step 4: waited 500 ms; missing of 4 tasks: 2 rollouts (are students running?), 1 teacher score (are teachers running?), 1 reward (is the reward role running?)",
    });
  });

  it("ends with nothing when it is interrupted", async () => {
    expect(await reader().wait("5", 1, { timeoutMs: 60_000, interrupted: async () => true })).toBeUndefined();
  });
});
