import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { publish } from "../../services/shared/base/streams/publish.js";
import { toRecord } from "../../services/shared/flow/arrays.js";
import { publishTask } from "../../services/shared/flow/prompts/publish-task.js";
import { publishScore } from "../../services/shared/flow/results/publish-results.js";
import { publishRollout, readRollout } from "../../services/shared/flow/rollouts/publish-rollout.js";
import { rolloutOf, samplesOf, writtenSequence } from "../../services/shared/flow/rollouts/sequences.js";
import { watchEvents } from "../../services/shared/flow/runs/events.js";
import { subjects } from "../../services/shared/flow/subjects.js";
import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import {
  type PromptTask,
  PromptTaskSchema,
  Purpose,
  type Rollout,
  RolloutSchema,
  Source,
  TeacherScoreSchema,
} from "../../services/shared/gen/retort/v1/flow_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { FakeWorkers } from "../support/runs/fake-workers.js";
import { flipBit } from "../support/runs/poison.js";
import { example, type RoleProcess, RunBench } from "../support/runs/run-bench.js";
import { fetchedBytes, storeBytes } from "../support/runs/stored-bytes.js";
import { eventually } from "../support/servers/nats.js";

const body = (steps: number): string => `
seed: 3
rollouts: { maxStaleness: 0, promptsPerTask: 2 }
checkpoints: { everySteps: 1, keep: 3 }
phases: [{ preset: on_policy_kd, steps: ${steps}, batchSize: 4, sampling: { maxNewTokens: 4 } }]
`;

/** An honest rollout of a task, as a student would write it. */
function honest(task: PromptTask): Rollout {
  const completion = { ids: Int32Array.of(3, 4), logprobs: Float32Array.of(-3, -3), text: "", finish: "length" as const };
  return rolloutOf(
    task,
    samplesOf(task).map((sample) => writtenSequence(task, sample, completion, task.minPolicyVersion)),
    "poison",
    0,
  );
}

const bytesOf = (rollout: Rollout): Uint8Array => toBinary(RolloutSchema, rollout);
/** An honest rollout with other values in place of some. */
const changed = (task: PromptTask, change: (rollout: Rollout) => Partial<Rollout>): Uint8Array => {
  const rollout = honest(task);
  return bytesOf(Object.assign(rollout, change(rollout)));
};

/** What may be stored as the rollout of a task, and what must be recorded of it. */
const poisons: readonly (readonly [name: string, bytes: (task: PromptTask) => Uint8Array, reason: RegExp])[] = [
  ["bytes that are no record", () => Uint8Array.of(255, 255, 255), /cannot be read/],
  ["half a record", (task) => bytesOf(honest(task)).subarray(0, 40), /cannot be (read|used)/],
  ["nothing", () => new Uint8Array(), /cannot be (read|used)/],
  ["another step's", (task) => changed(task, ({ key }) => ({ key: { ...key!, step: key!.step + 1 } })), /step/],
  ["a sequence too few", (task) => changed(task, ({ sequences }) => ({ sequences: sequences.slice(1) })), /1 sequence for 2 prompts/],
  ["the dataset's", (task) => changed(task, () => ({ source: Source.DATASET })), /DATASET/],
  ["one that no teacher scores", (task) => changed(task, () => ({ teacher: "" })), /teacher/],
  [
    "other rows",
    (task) => changed(task, ({ sequences }) => ({ sequences: sequences.map((one) => ({ ...one, index: one.index + 1 })) })),
    /row/,
  ],
];

/** Stores bytes as a task's rollout, and a score, so that nothing is missing. */
async function store({ streams }: RunBench, { key }: PromptTask, bytes: Uint8Array): Promise<void> {
  await publish(streams, subjects.result(key!, "rollout"), bytes, { messageId: `poison/${key!.step}` });
  await publishScore(streams, create(TeacherScoreSchema, { key, teacher: "default" }));
}

// One result of a task stays, whoever wrote it: the learner must live with each.
describe("a learner that finds poison among its results", () => {
  let bench: RunBench;
  let workers: FakeWorkers;
  afterAll(async () => {
    await workers?.stop();
    await bench?.stop();
  });

  it("records each as the failure of its prompts, trains on the others, and ends", async () => {
    bench = await RunBench.start(body(poisons.length));
    // Of each step the first task is poisoned.
    workers = new FakeWorkers(bench, {
      ignore: (task) => {
        if (task.key!.task !== 0) return false;
        const bytes = poisons[task.key!.step - 1]![1](task);
        store(bench, task, bytes).catch(() => {});
        return true;
      },
    });
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsOf(bench);
    const failed = events.flatMap(({ event }) => (event.case === "taskFailed" ? [event.value] : []));
    for (const [i, [name, , reason]] of poisons.entries()) {
      const own = failed.filter(({ key }) => key!.step === i + 1);
      expect([name, own.map(({ prompt }) => prompt)]).toEqual([name, [0, 1]]);
      for (const one of own) expect(one.reason).toMatch(reason);
    }
    const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(steps.map(({ sequences, failedPrompts }) => [sequences, failedPrompts])).toEqual(poisons.map(() => [2, 2]));
    expect((await bench.runs.get(bench.runId)).state).toBe(RunState.SUCCEEDED);
  });
});

/** Every event of a run that is over. */
async function eventsOf(bench: RunBench): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const enough = new AbortController();
  for await (const event of watchEvents(bench.streams, bench.runId, 0, enough.signal)) {
    events.push(event);
    if (event.event.case === "stateChanged" && event.event.value.state >= RunState.SUCCEEDED) enough.abort();
  }
  return events;
}

describe("a learner whose newest checkpoint has a bit turned over", () => {
  let bench: RunBench;
  let workers: FakeWorkers;
  afterAll(async () => {
    await workers?.stop();
    await bench?.stop();
  });

  it.each(["model.safetensors", "optimizer.safetensors"])("in %s goes on from the one before, and says so", async (name) => {
    bench = await RunBench.start(body(5));
    workers = new FakeWorkers(bench, { ignore: ({ key }) => key!.step === 4 });
    const first = bench.role("learner");
    const newest = join(bench.directory, "runs", bench.runId, "checkpoints", "step-00000003");
    await eventually("step 3 is saved", async () => (await bench.runs.get(bench.runId)).checkpoint?.step === 3, 60_000);
    await first.kill();
    await flipBit(join(newest, name));
    workers.behaviour = {};
    expect(await bench.role("learner").exit).toBe(0);
    const events = await eventsOf(bench);
    const started = events.flatMap(({ event }) =>
      event.case === "learnerStarted" ? [[event.value.fromStep, event.value.lostAtStep]] : [],
    );
    expect(started).toEqual([
      [0, undefined],
      [2, 3],
    ]);
    const warnings = events.flatMap(({ event }) => (event.case === "warning" ? [event.value.message] : []));
    expect(warnings.join("\n")).toContain(newest);
    await workers.stop();
    await bench.stop();
  });
});

describe("a student", () => {
  let bench: RunBench;
  afterAll(() => bench?.stop());

  it("never samples from a stored version with a bit turned over, and goes on with the next one", async () => {
    bench = await RunBench.start("phases: [{ preset: on_policy_kd, steps: 9 }]");
    const model = await loadModel(example("models/student"));
    await bench.announce(0, model);
    let student: RoleProcess = bench.role("student");
    await student.logged(/is serving/);
    const task = (step: number): PromptTask =>
      create(PromptTaskSchema, {
        key: { runId: "bench", purpose: Purpose.TRAIN, step, task: 0, attempt: 1 },
        prompts: [{ ids: toRecord(model.tokenizer.encode("7=", { addSpecial: true })) }],
        samplesPerPrompt: 1,
        sampling: { temperature: 1, topP: 1, maxNewTokens: 4 },
        minPolicyVersion: step - 1,
        maxPolicyVersion: step - 1,
      });
    await storeBytes(bench.store, bench.runId, 1, await fetchedBytes(bench.store, bench.runId, 0), 1n);
    await flipBit(join(bench.directory, "weights", bench.runId, "1", "model.safetensors"));
    await bench.runs.setPolicy(bench.runId, { version: 1, fence: 1n });
    await publishTask(bench.streams, task(2));
    // Whether it waits for a better one or ends, it says so, and samples nothing.
    await Promise.race([student.logged(/SHA-256|digest/), student.exit]);
    expect(student.log).toMatch(/version 1/);
    const stored = await bench.stored(task(2).key!, "rollout");
    if (stored) expect(readRollout(stored).sequences.every(({ failure }) => failure !== "")).toBe(true);
    await bench.announce(2, model);
    if (!student.running) student = bench.role("student");
    await publishTask(bench.streams, task(3));
    expect(readRollout(await bench.result(task(3).key!, "rollout")).sequences[0]!.failure).toBe("");
  });
});

describe("a teacher", () => {
  let bench: RunBench;
  let directory: string;
  afterAll(async () => {
    await bench?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it("whose weights are no numbers gives no score, and says why", async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-poison-"));
    await cp(example("models/teacher"), directory, { recursive: true });
    const file = join(directory, "model.safetensors");
    const bytes = await readFile(file);
    bytes.fill(0xff, bytes.length >> 1);
    await writeFile(file, bytes);
    bench = await RunBench.start(`teachers: [{ model: ${directory} }]\nphases: [{ preset: on_policy_kd, steps: 9 }]`);
    const teacher = bench.role("teacher", "--teacher=default");
    const rollout = create(RolloutSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step: 1, task: 0, attempt: 1 },
      source: Source.STUDENT,
      teacher: "default",
      signal: { kind: "top_k", k: 4, temperature: 1 },
      sequences: [
        {
          promptIds: toRecord(Int32Array.of(3, 4)),
          completionIds: toRecord(Int32Array.of(5)),
          policyVersions: toRecord(Uint32Array.of(0)),
        },
      ],
    });
    await publishRollout(bench.streams, rollout);
    const score = bench.result(rollout.key!, "score").then((found) => fromBinary(TeacherScoreSchema, found).scores[0]!.failure);
    const said = await Promise.race([score, teacher.exit.then(() => teacher.log)]);
    score.catch(() => {});
    expect(said).toMatch(/NaN|not finite|no number/i);
  });
});
