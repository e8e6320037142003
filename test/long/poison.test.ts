import { publish } from "../../services/shared/base/streams/publish.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { serveJudge, silentJudge } from "../support/runs/poison.js";

const spec = (name: string, steps: number): string =>
  tinySpec(
    name,
    `
rollouts: { promptsPerTask: 2 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases: [{ preset: on_policy_kd, steps: ${steps}, batchSize: 4, sampling: { maxNewTokens: 6 } }]`,
  );

// Whatever a run is fed with: it ends in time, says why if it fails, and never ends another.
describe("a run beside poisoned ones", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("is neither ended nor held up by bytes that are no record, under every subject and key of its neighbour", async () => {
    const other = await cluster.begin(spec("other", 30));
    const runId = await cluster.begin(spec("rubbish", 30));
    const subjects = [
      ...["prompts", "rollouts", "results", "ledger", "events"].map((stream) => `retort.${stream}.${runId}.rubbish`),
      ...[8, 9].flatMap((step) => [
        `retort.prompts.${runId}.student.${step}.0`,
        `retort.rollouts.${runId}.default.${step}.0`,
        `retort.rollouts.${runId}.none.${step}.0`,
        ...["rollout", "score", "reward"].map((kind) => `retort.results.${runId}.1.${step}.0.${kind}`),
        `retort.ledger.${runId}.1.${step}`,
      ]),
      `retort.events.${runId}.stepFinished`,
    ];
    let poisoned = false;
    const watched = await cluster.watch(runId, async ({ event }) => {
      if (poisoned || event.case !== "stepFinished" || event.value.step < 3) return;
      poisoned = true;
      for (const subject of subjects)
        await publish(cluster.streams, subject, Uint8Array.of(255, 255, 255), { messageId: `rubbish/${subject}` }).catch(() => {});
      const kv = await cluster.streams.kv.open("retort_runs");
      for (const key of [`${runId}.policy`, `${runId}.control`, "rubbish"]) await kv.put(key, Uint8Array.of(255, 254, 253));
      await (await cluster.streams.kv.open("retort_roles")).put(`${runId}.student.rubbish`, Uint8Array.of(255, 254, 253));
    });
    // What was lost is recorded, and what cannot be read of its ledger makes its audit fail.
    expect([watched.run.message, watched.run.state]).toEqual(["", RunState.SUCCEEDED]);
    const reasons = watched.events.flatMap(({ event }) => (event.case === "taskFailed" ? [event.value.reason] : []));
    expect(reasons.join("\n")).toMatch(/cannot be read/);
    const audits = watched.events.flatMap(({ event }) => (event.case === "auditFinished" ? [event.value] : []));
    expect(audits.map(({ holds, problems }) => [holds, problems.some((one) => one.includes("cannot be read"))])).toEqual([[false, true]]);
    const { run } = await cluster.watch(other);
    expect([run.message, run.state, run.step]).toEqual(["", RunState.SUCCEEDED, 30]);
    expect((await cluster.controller.listRuns({})).runs.map((listed) => listed.runId)).toEqual(expect.arrayContaining([runId, other]));
  }, 300_000);

  it("may have a judge that never answers: its run ends within the step's time, and says whom it waited for", async () => {
    const judge = await serveJudge(silentJudge);
    try {
      const text = spec("silent", 3).replace("on_policy_kd", "rl_gkd").replace("batchSize", "samplesPerPrompt: 2, batchSize");
      const more = `rewards: [{ kind: external, address: "${judge.address}" }]`;
      const timed = text.replace("promptsPerTask: 2", "promptsPerTask: 2, stepTimeoutMs: 4000");
      const { run } = await cluster.watch(await cluster.begin(`${timed}\n${more}`));
      expect(run.state).toBe(RunState.FAILED);
      expect(run.message).toMatch(/127\.0\.0\.1|rewards/);
    } finally {
      await judge.stop();
    }
  }, 300_000);
});
