import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec, type Watched } from "../support/runs/local-run.js";

const maxStaleness = 2;
const spec = tinySpec(
  "asynchronous",
  `
rollouts: { maxStaleness: ${maxStaleness}, promptsPerTask: 4 }
rewards: [{ kind: exact_match }]
roles: { student: { replicas: 2, threads: 1 }, teacher: { replicas: 2, threads: 1 }, learner: { threads: 1 } }
evaluation: { path: data/held-out.jsonl, limit: 16, everySteps: 10 }
phases:
  - preset: rl_gkd
    steps: 20
    batchSize: 16
    samplesPerPrompt: 2
    objective: { alpha: 0.5, signal: top_k, topK: 8 }
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.001 }
`,
);

describe("an asynchronous run with two students, two teachers and rewards", () => {
  let cluster: LocalCluster;
  let watched: Watched;
  let killed = 0;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    const runId = await cluster.begin(spec);
    watched = await cluster.watch(runId, async ({ event }) => {
      if (event.case !== "stepFinished" || event.value.step !== 8 || killed) return;
      // In the middle, one of the students is lost.
      killed = await cluster.pidOf(runId, "student");
      process.kill(killed, "SIGKILL");
    });
  });
  afterAll(() => cluster.stop());

  const finished = () => watched.events.flatMap(({ event }: RunEvent) => (event.case === "stepFinished" ? [event.value] : []));

  it("succeeds though a student is lost on the way", () => {
    expect(killed).toBeGreaterThan(0);
    expect(watched.run.message).toBe("");
    expect(watched.run.state).toBe(RunState.SUCCEEDED);
  });

  it("trains every step on every prompt, each once", () => {
    expect(finished().map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    for (const { sequences, failedPrompts } of finished()) expect([sequences, failedPrompts]).toEqual([32, 0]);
  });

  it("samples ahead of the learner, never more than the bound", () => {
    const oldest = finished().map(({ stalenessMax }) => stalenessMax);
    expect(Math.max(...oldest)).toBeGreaterThan(0);
    expect(Math.max(...oldest)).toBeLessThanOrEqual(maxStaleness);
  });

  it("trains the policy that sampled, as far as its age allows", () => {
    const fresh = finished().filter(({ stalenessMax }) => stalenessMax === 0);
    for (const { mismatchKl } of fresh) expect(mismatchKl).toBeLessThan(1e-4);
    for (const { mismatchKl } of finished()) expect(mismatchKl).toBeLessThan(0.5);
  });

  it("reports rewards, signal bytes and evaluations", () => {
    for (const { reward, signalBytesPerToken } of finished()) {
      expect(reward).toBeGreaterThanOrEqual(0);
      expect(reward).toBeLessThanOrEqual(1);
      // log-probability, 8 ids, 8 log-probabilities and the tail, four bytes each.
      expect(signalBytesPerToken).toBeCloseTo(4 * (1 + 8 + 8 + 1), 5);
    }
    const versions = watched.events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value.version] : []));
    expect(versions).toEqual([0, 10, 20]);
  });
});
