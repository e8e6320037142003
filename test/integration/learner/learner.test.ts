import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { purge } from "../../../services/shared/base/streams/ensure.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import { watchEvents } from "../../../services/shared/flow/runs/events.js";
import { streamNames } from "../../../services/shared/flow/streams.js";
import type { RunEvent } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { Purpose } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../../services/shared/ml/models/model.js";
import { type Behaviour, FakeWorkers } from "../../support/runs/fake-workers.js";
import { RunBench } from "../../support/runs/run-bench.js";

const body = (more = "") => `
seed: 3
rollouts: { maxStaleness: 1, promptsPerTask: 2, ${more} }
checkpoints: { everySteps: 2 }
phases: [{ preset: on_policy_kd, steps: 6, batchSize: 4, sampling: { maxNewTokens: 4 } }]
`;

// The tests are the students, the teachers and the controller.
describe("a learner process", () => {
  let bench: RunBench;
  let workers: FakeWorkers;
  const begin = async (spec: string, behaviour: Behaviour = {}) => {
    bench = await RunBench.start(spec);
    workers = new FakeWorkers(bench, behaviour);
  };
  afterEach(async () => {
    await workers.stop();
    await bench.stop();
  });

  const run = () => bench.runs.get(bench.runId);
  /** The run's events up to the first that the test waits for. */
  const eventsUntil = async (last: (event: RunEvent["event"]) => boolean): Promise<RunEvent["event"][]> => {
    const events: RunEvent["event"][] = [];
    const enough = new AbortController();
    for await (const { event } of watchEvents(bench.streams, bench.runId, 0, enough.signal)) {
      events.push(event);
      if (last(event)) enough.abort();
    }
    return events;
  };
  const finishedStep = (step: number) => (event: RunEvent["event"]) => event.case === "stepFinished" && event.value.step === step;
  const stepsOf = (events: readonly RunEvent["event"][]) => events.flatMap((event) => (event.case === "stepFinished" ? [event.value] : []));
  const state = (wanted: RunState) => (event: RunEvent["event"]) => event.case === "stateChanged" && event.value.state === wanted;
  const checkpoints = async () => (await readdir(join(bench.directory, "runs", bench.runId, "checkpoints"))).sort();

  it("trains every step on the prompts that its plan deals, issues within the bound, and saves the student", async () => {
    await begin(body().replace("checkpoints", "data: { path: data/train.jsonl, limit: 10 }\ncheckpoints"));
    expect(await bench.role("learner").exit).toBe(0);
    const finished = stepsOf(await eventsUntil(state(RunState.SUCCEEDED)));
    expect(finished.map(({ step, sequences, failedPrompts }) => [step, sequences, failedPrompts])).toEqual(
      [1, 2, 3, 4, 5, 6].map((step) => [step, 4, 0]),
    );
    for (const { stalenessMax, loss } of finished) expect([stalenessMax <= 1, Number.isFinite(loss)]).toEqual([true, true]);
    // A dataset that is used up goes on in a new order: 24 prompts of 10 rows are each row twice, four a third time.
    const uses = new Map<number, number>();
    for (const row of workers.seen.flatMap(({ rows }) => rows)) uses.set(row, (uses.get(row) ?? 0) + 1);
    expect([...uses.values()].sort()).toEqual([2, 2, 2, 2, 2, 2, 3, 3, 3, 3]);
    for (const { step, minVersion, maxVersion, announced } of workers.seen) {
      expect([minVersion, maxVersion]).toEqual([Math.max(0, step - 2), step - 1]);
      // Nobody is asked for a version that he cannot have.
      expect(announced).toBeGreaterThanOrEqual(minVersion);
    }
    // What nothing can ask for any more is deleted; config and tokenizer stay.
    expect(await bench.store.list(bench.runId)).toEqual([0, 5, 6]);
    expect(await bench.count(streamNames.results)).toBe(0);
    const { output, step, state: final } = await run();
    expect([final, step]).toEqual([RunState.SUCCEEDED, 6]);
    expect(digestOf((await loadModel(output)).params)).not.toBe("");
  });

  it("raises an alarm, once, where a synchronous run's samples are not what the student would write", async () => {
    await begin(body().replace("maxStaleness: 1", "maxStaleness: 0"));
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsUntil(state(RunState.SUCCEEDED));
    const alarms = events.flatMap((event) => (event.case === "warning" && event.value.alarm ? [event.value.message] : []));
    expect(stepsOf(events)[0]!.mismatchKl).toBeGreaterThan(0.01);
    expect(alarms).toEqual([expect.stringMatching(/^step 1: the mismatch KL is .* nats per token, and the run is synchronous/)]);
  });

  it("goes on with the rest of a batch when prompts fail, and reports each", async () => {
    await begin(body(), { failure: ({ key }, prompt) => (key!.step === 2 && prompt === 0 ? "cannot be written" : "") });
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsUntil(state(RunState.SUCCEEDED));
    expect(stepsOf(events).map(({ sequences, failedPrompts }) => [sequences, failedPrompts])).toEqual([
      [4, 0],
      [2, 2],
      ...Array(4).fill([4, 0]),
    ]);
    const failures = events.flatMap((event) => (event.case === "taskFailed" ? [event.value] : []));
    expect(failures.map(({ key, prompt, reason }) => [key!.step, key!.task, prompt, reason])).toEqual([
      [2, 0, 0, "cannot be written"],
      [2, 1, 0, "cannot be written"],
    ]);
  });

  const bad = toRecord(Float32Array.of(-1, Number.NaN, -1, -1));
  it.each<[string, Behaviour, RegExp]>([
    ["every prompt of a step failed", { failure: () => "no luck" }, /step 1: every prompt failed.*no luck/],
    [
      "a score is not a number",
      { score: (s) => ({ ...s, scores: s.scores.map((one) => ({ ...one, logprobs: bad })) }) },
      /logprobs\[1\] is NaN/,
    ],
    [
      "a score was made with another signal",
      { score: (s) => ({ ...s, signal: { kind: "full", k: 0, temperature: 2 } }) },
      /temperature=2.*temperature=1/,
    ],
    ["a score belongs to other sequences", { score: (s) => ({ ...s, sequencesDigest: "another" }) }, /digest/],
    ["a score has too few entries", { score: (s) => ({ ...s, scores: s.scores.slice(1) }) }, /1 entry for 2 sequences/],
  ])("ends the run with the reason when %s", async (_, behaviour, message) => {
    await begin(body(), behaviour);
    const code = await bench.role("learner").exit;
    const { state: final, message: reason } = await run();
    expect(final).toBe(RunState.FAILED);
    expect(reason).toMatch(message);
    // The same learner would fail again: its launcher must not try.
    expect([65, 78]).toContain(code);
  });

  it.each<[string, Behaviour, RegExp]>([
    ["students", { ignore: () => true }, /step 1: waited 1500 ms.*2 rollouts \(are students running\?\)/],
    ["teachers", { score: () => undefined }, /2 teacher scores \(are teachers running\?\)/],
  ])("does not wait for lost %s for ever, though nothing is in flight any more", async (_, behaviour, message) => {
    await begin(body("stepTimeoutMs: 1500"), behaviour);
    const learner = bench.role("learner");
    await eventsUntil(state(RunState.RUNNING));
    await purge(bench.streams, streamNames.rollouts, "retort.rollouts.>");
    await learner.exit;
    expect((await run()).message).toMatch(message);
  });

  it("saves a checkpoint when it is asked to leave, and the next one announces its version before it issues", async () => {
    await begin(body(), { ignore: ({ key }) => key!.step === 4 });
    const first = bench.role("learner");
    await eventsUntil(finishedStep(3));
    expect(await first.stop()).toBe(130);
    expect((await run()).state).toBe(RunState.RUNNING);
    expect(await checkpoints()).toEqual(["step-00000002", "step-00000003"]);
    const before = workers.seen.length;
    // What watchers have of the announcement may be old or nothing at all.
    await bench.runs.setPolicy(bench.runId, { version: 0, fence: 1n });
    workers.behaviour = {};
    expect(await bench.role("learner").exit).toBe(0);
    const again = workers.seen.slice(before);
    expect([...new Set(again.map(({ step, attempt }) => `${step}/${attempt}`))].sort()).toEqual(["4/2", "5/2", "6/2"]);
    for (const { minVersion, announced } of again) expect(announced).toBeGreaterThanOrEqual(minVersion);
    expect(stepsOf(await eventsUntil(state(RunState.SUCCEEDED))).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("goes on from the newest whole checkpoint after a kill, with the same prompts, and keeps the bound", async () => {
    await begin(body(), { ignore: ({ key }) => key!.step === 4 });
    const first = bench.role("learner");
    await eventsUntil(finishedStep(3));
    await first.kill();
    // One that was being written when its machine was lost.
    const torn = join(bench.directory, "runs", bench.runId, "checkpoints", "step-00000009");
    await mkdir(torn);
    await writeFile(join(torn, "model.safetensors"), "half");
    const before = workers.seen.length;
    workers.behaviour = {};
    expect(await bench.role("learner").exit).toBe(0);
    const [old, again] = [workers.seen.slice(0, before), workers.seen.slice(before)];
    expect(Math.min(...again.map(({ step }) => step))).toBe(3);
    const prompts = (list: typeof again, step: number) =>
      list
        .filter((seen) => seen.step === step)
        .flatMap(({ task, rows }) => [task, ...rows])
        .sort();
    for (const step of [3, 4]) expect(prompts(again, step)).toEqual(prompts(old, step));
    for (const { step, announced, minVersion } of again) {
      expect(announced).toBeGreaterThanOrEqual(minVersion);
      expect(minVersion).toBe(step - 2);
    }
    const events = await eventsUntil(state(RunState.SUCCEEDED));
    const finished = stepsOf(events);
    expect(finished.map(({ step }) => step)).toEqual([1, 2, 3, 3, 4, 5, 6]);
    const [, second] = events.flatMap((event) => (event.case === "learnerStarted" ? [event.value] : []));
    expect(second).toMatchObject({ fence: 2n, fromStep: 2, lostAtStep: 3 });
    const warnings = events.flatMap((event) => (event.case === "warning" ? [event.value.message] : []));
    expect(warnings).toEqual([expect.stringMatching(/step-00000009 cannot be used: it is incomplete/)]);
    const audits = events.flatMap((event) => (event.case === "auditFinished" ? [event.value] : []));
    expect(audits).toEqual([expect.objectContaining({ holds: true, steps: 6, samples: 24n, trained: 24n, repeatedSteps: 1, learners: 2 })]);
    // The same results make the same step: nothing was counted twice, nothing was lost.
    expect(finished[3]!.loss).toBe(finished[2]!.loss);
  });

  it("begins again where the volume with its checkpoints was lost, and says so", async () => {
    await begin(body(), { ignore: ({ key }) => key!.step === 4 });
    const first = bench.role("learner");
    await eventsUntil(finishedStep(3));
    await first.kill();
    await rm(join(bench.directory, "runs"), { recursive: true });
    workers.behaviour = {};
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsUntil(state(RunState.SUCCEEDED));
    expect(stepsOf(events).map(({ step }) => step)).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6]);
    const warnings = events.flatMap((event) => (event.case === "warning" ? [event.value.message] : []));
    expect(warnings).toEqual([
      expect.stringMatching(
        /^the checkpoint of step 2 isn't at .*step-00000002 any more .* the run begins again at step 0: there is no other$/,
      ),
    ]);
    const audits = events.flatMap((event) => (event.case === "auditFinished" ? [event.value] : []));
    expect(audits).toEqual([expect.objectContaining({ holds: true, steps: 6, repeatedSteps: 3, learners: 2 })]);
  });

  it("leaves a run to the learner that took it over", async () => {
    await begin(body(), { ignore: ({ key }) => key!.attempt === 1 });
    const first = bench.role("learner");
    await eventsUntil(state(RunState.RUNNING));
    expect(await bench.role("learner").exit).toBe(0);
    expect(await first.exit).toBe(70);
    const { state: final, fence } = await run();
    expect([final, fence]).toEqual([RunState.SUCCEEDED, 2n]);
  });

  it.each([RunState.FAILED, RunState.STOPPED, RunState.SUCCEEDED])("leaves a run that is over as it is (state %s)", async (over) => {
    await begin(body());
    await bench.runs.transition(bench.runId, over, "its end");
    expect(await bench.role("learner").exit).toBe(0);
    const { state: final, message, fence } = await run();
    expect([final, message, fence]).toEqual([over, "its end", 0n]);
    expect(workers.seen).toEqual([]);
  });

  it("stops a run whose learner was lost while it was stopping, without taking it up again", async () => {
    await begin(body(), { ignore: ({ key }) => key!.step === 4 });
    const first = bench.role("learner");
    await eventsUntil(finishedStep(3));
    await first.kill();
    await bench.runs.setControl(bench.runId, "stop");
    expect(await bench.role("learner").exit).toBe(0);
    const { state: final, step, fence } = await run();
    // What can be resumed is the checkpoint of step 2.
    expect([final, step, fence]).toEqual([RunState.STOPPED, 2, 1n]);
  });

  it("refuses an output that cannot be written before it trains", async () => {
    await begin(`output: ${process.execPath}/student\n${body()}`);
    expect(await bench.role("learner").exit).toBe(78);
    expect((await run()).message).toMatch(/output.*below a file/);
    expect(workers.seen).toEqual([]);
  });

  it("keeps the trained student in a checkpoint when its output cannot be written in the end", async () => {
    const directory = await mkdtemp(join(tmpdir(), "retort-output-"));
    const output = join(directory, "student");
    await begin(`output: ${output}\n${body()}`);
    const learner = bench.role("learner");
    await eventsUntil(finishedStep(1));
    await writeFile(output, "in its way");
    expect(await learner.exit).not.toBe(0);
    const { state: final, message, checkpoint } = await run();
    expect(final).toBe(RunState.FAILED);
    expect(message).toMatch(/could not be saved to .*its weights are in the last checkpoint: retort export/);
    expect(checkpoint!.step).toBe(6);
    expect(digestOf((await loadModel(checkpoint!.path)).params)).toBe(checkpoint!.digest);
    await rm(directory, { recursive: true });
  });

  it("evaluates a version that was saved and not measured before its learner was lost", async () => {
    const evaluated = "evaluation: { holdOut: 4, everySteps: 2 }\n";
    await begin(evaluated + body(), { ignore: ({ key }) => key!.purpose === Purpose.EVALUATE && key!.step === 2 });
    const first = bench.role("learner");
    await eventsUntil((event) => event.case === "checkpointSaved" && event.value.step === 2);
    await first.kill();
    workers.behaviour = {};
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsUntil(state(RunState.SUCCEEDED));
    expect(events.flatMap((event) => (event.case === "evaluationFinished" ? [event.value.version] : []))).toEqual([0, 2, 4, 6]);
  });

  it("holds still while it is paused, and ends with a checkpoint when it is stopped", async () => {
    await begin(body(), { ignore: ({ key }) => key!.step === 4 });
    const learner = bench.role("learner");
    await eventsUntil(finishedStep(3));
    await bench.runs.setControl(bench.runId, "pause");
    await eventsUntil(state(RunState.PAUSED));
    expect((await run()).step).toBe(3);
    await bench.runs.setControl(bench.runId, "stop");
    expect(await learner.exit).toBe(0);
    expect((await run()).state).toBe(RunState.STOPPED);
    expect(await checkpoints()).toEqual(["step-00000002", "step-00000003"]);
  });
});
