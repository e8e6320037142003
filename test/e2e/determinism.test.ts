import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RunHistory } from "../../services/shared/flow/history/run-history.js";
import type { RunEvent, SamplesRecorded } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent, LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";

// Synchronous on-policy distillation: with one worker per role, its result is a function of the spec alone. That makes
// "nothing was lost and nothing done twice" a comparison of two digests, whatever happened on the way. Steps are quick: there
// are enough of them that what is done at the sixth is done long before the last, on a busy machine too.
const spec = tinySpec(
  "synchronous",
  `
rollouts: { maxStaleness: 0 }
checkpoints: { everySteps: 4 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: 30
    batchSize: 8
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.001 }
`,
);

describe("a synchronous run", () => {
  let cluster: LocalCluster;
  let undisturbed: string;
  let recorded: SamplesRecorded[];

  beforeAll(async () => {
    cluster = await LocalCluster.start();
    const { run, events } = await cluster.watch(await cluster.begin(spec));
    expect(run.message).toBe("");
    expect(run.state).toBe(RunState.SUCCEEDED);
    undisturbed = await digestOfStudent(run);
    recorded = historyOf(events).samples;
    expect(recorded.map(({ step }) => step)).toEqual(all);
  });
  afterAll(() => cluster.stop());

  const stepOf = ({ event }: RunEvent) => (event.case === "stepFinished" ? event.value.step : 0);
  const stepsOf = (events: readonly RunEvent[]) => events.map(stepOf).filter((step) => step > 0);
  const historyOf = (events: readonly RunEvent[]) => {
    const history = new RunHistory();
    for (const event of events) history.push(event);
    return history;
  };
  /** The steps of a run's metrics.jsonl. */
  const written = async (runId: string): Promise<number[]> => {
    const text = await readFile(join(cluster.directory, "runs", runId, "metrics.jsonl"), "utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).step);
  };
  const all = Array.from({ length: 30 }, (_, i) => i + 1);

  it("gives the same weights again, and leaves nothing in the streams but its events", async () => {
    const runId = await cluster.begin(spec);
    const { run, events } = await cluster.watch(runId);
    expect(stepsOf(events)).toEqual(all);
    expect(await digestOfStudent(run)).toBe(undisturbed);
    expect(historyOf(events).samples).toEqual(recorded);
    expect(await written(runId)).toEqual(all);
    for (const stream of ["RETORT_PROMPTS", "RETORT_ROLLOUTS", "RETORT_RESULTS"])
      await eventually(`nothing of the run in ${stream}`, async () => (await cluster.left(stream, runId)) === 0, 60_000);
    expect(await cluster.left("RETORT_EVENTS", runId)).toBeGreaterThan(30);
  });

  it("gives the same weights when it is stopped and resumed", async () => {
    const runId = await cluster.begin(spec);
    const first = await cluster.watch(runId, async (event) => {
      if (stepOf(event) === 5) await cluster.controller.stopRun({ runId });
    });
    expect(first.run.state).toBe(RunState.STOPPED);
    expect(stepsOf(first.events).length).toBeLessThan(30);
    await cluster.controller.resumeRun({ runId });
    const second = await cluster.watch(runId);
    expect(second.run.state).toBe(RunState.SUCCEEDED);
    expect(await digestOfStudent(second.run)).toBe(undisturbed);
  });

  it.each(["student", "teacher", "learner"])("gives the same weights when its %s is killed", async (role) => {
    const runId = await cluster.begin(spec);
    let killed = 0;
    const { run, events } = await cluster.watch(runId, async (event) => {
      if (stepOf(event) !== 6 || killed) return;
      killed = await cluster.pidOf(runId, role);
      process.kill(killed, "SIGKILL");
    });
    expect(killed).toBeGreaterThan(0);
    expect(run.message).toBe("");
    expect(run.state).toBe(RunState.SUCCEEDED);
    expect([...new Set(stepsOf(events))]).toEqual(all);
    expect(await digestOfStudent(run)).toBe(undisturbed);
    // Of what was trained twice, the last counts, and a step is once in each of the outputs.
    const history = historyOf(events);
    expect(Array.from(history.figures.get("loss")!.steps)).toEqual(all);
    expect(history.samples).toEqual(recorded);
    expect(await written(runId)).toEqual(all);
  });
});
