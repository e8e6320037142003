import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { found } from "../../../services/shared/base/found.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { toFloat32, toInt32, toRecord, toUint32 } from "../../../services/shared/flow/arrays.js";
import { sampleSeed } from "../../../services/shared/flow/prompts/plan.js";
import { publishTask, publishTasks } from "../../../services/shared/flow/prompts/publish-task.js";
import { publishRollout, readRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { rolloutOf, samplesOf, writtenSequence } from "../../../services/shared/flow/rollouts/sequences.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import { subjects } from "../../../services/shared/flow/subjects.js";
import { membersOf } from "../../../services/shared/flow/together.js";
import { type PromptTask, PromptTaskSchema, Purpose, RolloutSchema, Source } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import type { Model } from "../../../services/shared/ml/models/model.js";
import { Sampler } from "../../../services/shared/ml/sampling/sampler.js";
import { expectAllClose } from "../../support/jest/all-close.js";
import { example, type RoleProcess, RunBench } from "../../support/runs/run-bench.js";
import { eventually } from "../../support/servers/nats.js";

const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 12 };
const options = { device: "cpu", threads: 1, chunkTokens: 64, maxRows: 64 } as const;

type TaskFields = Partial<Pick<PromptTask, "samplesPerPrompt" | "seed" | "minPolicyVersion" | "maxPolicyVersion">>;

// The test is the learner (tasks, weights) and whoever reads the rollouts.
describe("a student process", () => {
  let bench: RunBench;
  let student: RoleProcess;
  let model: Model;
  const durable = durables.student("bench");

  beforeAll(async () => {
    bench = await RunBench.start("rollouts: { maxStaleness: 1, maxAttempts: 3 }\nphases: [{ preset: on_policy_kd, steps: 9 }]");
    model = await loadModel(example("models/student"));
    // It must wait for its first weights.
    student = bench.role("student");
    await bench.announce(0);
  });
  afterAll(() => bench.stop());

  let next = 0;
  /** Fence of the learner that the test is. */
  let attempt = 1;
  const taskOf = (prompts: readonly (string | Int32Array)[], fields: TaskFields = {}): PromptTask =>
    create(PromptTaskSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step: 1, task: next++, attempt },
      prompts: prompts.map((prompt, index) => ({
        index: index + 40,
        text: String(prompt),
        reference: "one",
        ids: toRecord(typeof prompt === "string" ? model.tokenizer.encode(prompt, { addSpecial: true }) : prompt),
      })),
      samplesPerPrompt: 2,
      sampling,
      seed: 99n,
      teacher: "default",
      signal: { kind: "full", k: 0, temperature: 1 },
      ...fields,
    });
  const rolloutFor = async ({ key }: PromptTask) => readRollout(await bench.result(key!, "rollout"));
  /** What the task's samples must be with these weights. */
  const expected = async (task: PromptTask, params = model.params) => {
    const sampler = new Sampler(model.config, params, options);
    const requests = samplesOf(task).map(({ promptIds, prompt, sample }) => ({ promptIds, seed: sampleSeed(task.seed, prompt, sample) }));
    const completions = await sampler.sample(requests, { ...sampling, stopIds: model.config.eosIds });
    await sampler.release();
    return completions;
  };

  it("writes each sample of a task as its seed says, stores the rollout and sends it on", async () => {
    const task = taskOf(["12=", "7="]);
    await publishTask(bench.streams, task);
    const rollout = await rolloutFor(task);
    expect(rollout).toMatchObject({ source: Source.STUDENT, teacher: "default", signal: { kind: "full" }, rewarded: false });
    expect(rollout.sequences.map(({ prompt, sample, index, reference }) => [prompt, sample, index, reference])).toEqual([
      [0, 0, 40, "one"],
      [0, 1, 40, "one"],
      [1, 0, 41, "one"],
      [1, 1, 41, "one"],
    ]);
    const completions = await expected(task);
    for (const [i, sequence] of rollout.sequences.entries()) {
      expect(Array.from(toInt32(sequence.completionIds, "ids"))).toEqual(Array.from(completions[i]!.ids));
      expectAllClose(toFloat32(sequence.samplerLogprobs, "logprobs"), completions[i]!.logprobs, { rtol: 1e-4, atol: 1e-5 });
      expect([...new Set(toUint32(sequence.policyVersions, "versions"))]).toEqual([0]);
      expect(sequence.completionText).toBe(model.tokenizer.decode(completions[i]!.ids));
    }
    await eventually("it was sent on", async () => (await bench.count(streamNames.rollouts)) === 1);
    await bench.idle(streamNames.prompts, durable);
  });

  it("does nothing twice when a task comes again: the first rollout stays", async () => {
    const task = taskOf(["3="]);
    await publishTask(bench.streams, task);
    const first = await bench.result(task.key!, "rollout");
    const results = await bench.count(streamNames.results);
    // The same work with another seed, so that a second rollout would show.
    const again = toBinary(PromptTaskSchema, create(PromptTaskSchema, { ...task, seed: 1n }));
    await publish(bench.streams, subjects.prompt(task.key!, ""), again, { messageId: "again" });
    await bench.idle(streamNames.prompts, durable);
    expect(Buffer.compare((await bench.stored(task.key!, "rollout"))!, first)).toBe(0);
    expect(await bench.count(streamNames.results)).toBe(results);
  });

  it("records a prompt that it cannot take, and writes the task's others", async () => {
    const task = taskOf(["5=", new Int32Array(100).fill(4), "6="], { samplesPerPrompt: 1 });
    await publishTask(bench.streams, task);
    const { sequences } = await rolloutFor(task);
    expect(sequences.map(({ failure }) => failure !== "")).toEqual([false, true, false]);
    expect(sequences[1]!.failure).toMatch(/100 tokens.*64 positions/);
    expect(sequences[1]!.completionIds).toBeUndefined();
  });

  it("drops a task whose learner has been replaced, and has no outcome for it", async () => {
    await bench.runs.setPolicy("bench", { version: 0, fence: 2n });
    const task = taskOf(["3="], { minPolicyVersion: 7, maxPolicyVersion: 7 });
    await publishTask(bench.streams, task);
    await bench.idle(streamNames.prompts, durable);
    expect(await bench.stored(task.key!, "rollout")).toBeUndefined();
    attempt = 2;
    const next = taskOf(["3="]);
    await publishTask(bench.streams, next);
    await rolloutFor(next);
  });

  it("drops bytes that are no task, and goes on", async () => {
    const task = taskOf(["8="]);
    await bench.rubbish(subjects.prompt({ ...task.key!, task: 500 }, ""));
    await publishTask(bench.streams, task);
    await rolloutFor(task);
    await bench.idle(streamNames.prompts, durable);
    expect(student.running).toBe(true);
  });

  it("takes over the task of a worker that was lost, before and after that one had stored its rollout", async () => {
    // The lost worker can have a task only while this one has its hands full.
    await student.stop();
    const [unwritten, written] = [taskOf(["20="]), taskOf(["30="])];
    for (const task of [unwritten, written]) {
      await publishTask(bench.streams, task);
      const bytes = await bench.dieOverNext(streamNames.prompts, durable);
      expect(Buffer.compare(bytes, toBinary(PromptTaskSchema, task))).toBe(0);
    }
    const completion = { ids: Int32Array.of(5), logprobs: Float32Array.of(-1), text: "the lost worker's", finish: "stop" as const };
    const sequences = samplesOf(written).map((sample) => writtenSequence(written, sample, completion, 0));
    await publishRollout(bench.streams, rolloutOf(written, sequences, "lost", 1));
    // Its grace is far shorter than its patience with weights.
    student = bench.role("student", "--grace-ms=8000");
    expect((await rolloutFor(unwritten)).sequences).toHaveLength(2);
    await bench.idle(streamNames.prompts, durable);
    expect(fromBinary(RolloutSchema, (await bench.stored(written.key!, "rollout"))!).worker).toBe("lost");
  });

  it("gives a task back at once when it is stopped while it waits for weights, and the next one writes it with those", async () => {
    const task = taskOf(["44="], { minPolicyVersion: 1, maxPolicyVersion: 1 });
    await publishTask(bench.streams, task);
    await bench.inHand(streamNames.prompts, durable);
    expect(await student.stop()).toBe(0);
    const { num_ack_pending, num_pending } = await bench.streams.manager.consumers.info(streamNames.prompts, durable);
    expect(num_ack_pending + num_pending).toBeGreaterThan(0);
    student = bench.role("student");
    const other = await loadModel(example("models/student"));
    const params = new Map([...other.params].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.map((x) => x * 1.25) }]));
    await bench.announce(1, { ...other, params });
    const { sequences } = await rolloutFor(task);
    const completions = await expected(task, params);
    for (const [i, sequence] of sequences.entries()) {
      expect([...new Set(toUint32(sequence.policyVersions, "versions"))]).toEqual([1]);
      expect(Array.from(toInt32(sequence.completionIds, "ids"))).toEqual(Array.from(completions[i]!.ids));
    }
  });

  it("never samples below the bound: it follows the newest version, and keeps nothing of an older one's", async () => {
    // Same prompt and seed under two versions, one after the other: a cache that outlived its weights would show.
    const before = taskOf(["44="], { seed: 7n, maxPolicyVersion: 1 });
    await publishTask(bench.streams, before);
    expect(toUint32((await rolloutFor(before)).sequences[0]!.policyVersions, "versions")[0]).toBe(1);
    await bench.announce(2);
    const after = taskOf(["44="], { seed: 7n, minPolicyVersion: 2, maxPolicyVersion: 2 });
    await publishTask(bench.streams, after);
    const [sequence] = (await rolloutFor(after)).sequences;
    expect(toUint32(sequence!.policyVersions, "versions")[0]).toBe(2);
    const [completion] = await expected(after);
    expectAllClose(toFloat32(sequence!.samplerLogprobs, "logprobs"), completion!.logprobs, { rtol: 1e-4, atol: 1e-5 });
  });

  it("writes the tasks of a message together, each as if it were alone, and sends them on together", async () => {
    const tasks = Array.from({ length: 12 }, (_, i) =>
      taskOf([`${i}=`, `${i + 20}=`], { seed: BigInt(i), minPolicyVersion: 2, maxPolicyVersion: 2 }),
    );
    const before = await bench.count(streamNames.rollouts);
    await publishTasks(bench.streams, tasks, 10);
    const prompts = await bench.streams.manager.consumers.info(streamNames.prompts, durable);
    expect(prompts.num_pending + prompts.num_ack_pending).toBeLessThanOrEqual(3);
    for (const task of tasks) {
      const { sequences } = await rolloutFor(task);
      const completions = await expected(task);
      expect(sequences.map(({ completionIds }) => Array.from(toInt32(completionIds, "ids")))).toEqual(
        completions.map(({ ids }) => Array.from(ids)),
      );
    }
    await bench.idle(streamNames.prompts, durable);
    expect(await bench.count(streamNames.rollouts)).toBe(before + 3);
  });

  it("sends the same rollouts together again when it was killed over them", async () => {
    const tasks = () =>
      Array.from({ length: 8 }, (_, i) =>
        taskOf(
          Array.from({ length: 20 }, (_, prompt) => `${prompt}=`),
          { seed: BigInt(i), minPolicyVersion: 2, maxPolicyVersion: 2 },
        ),
      );
    const { streams: manager } = bench.streams.manager;
    /** Places of the tasks of each message that came since. */
    const messagesOf = async (first: number, seq: number) => {
      const messages: number[][] = [];
      const { last_seq } = (await manager.info(streamNames.rollouts)).state;
      for (let at = seq + 1; at <= last_seq; at++) {
        const { data } = found(await manager.getMessage(streamNames.rollouts, { seq: at }), "a message");
        messages.push(membersOf(readRollout(data)).map(({ key }) => key.task - first));
      }
      return messages;
    };
    const send = async (afterwards: () => Promise<void>) => {
      const { last_seq } = (await manager.info(streamNames.rollouts)).state;
      const first = next;
      await publishTasks(bench.streams, tasks(), 1000);
      await afterwards();
      await bench.idle(streamNames.prompts, durable);
      return messagesOf(first, last_seq);
    };
    const undisturbed = await send(async () => {});
    expect(undisturbed.flat().sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(undisturbed.length).toBeLessThan(8);
    const killed = await send(async () => {
      await bench.inHand(streamNames.prompts, durable);
      await student.kill();
      student = bench.role("student");
    });
    expect(killed).toEqual(undisturbed);
  });

  it("finishes what it has in hand when it is stopped, and leaves the run's register", async () => {
    const task = taskOf(
      Array.from({ length: 200 }, (_, i) => `${i}=`),
      { maxPolicyVersion: 2 },
    );
    await publishTask(bench.streams, task);
    await bench.inHand(streamNames.prompts, durable);
    expect(await student.stop()).toBe(0);
    await bench.idle(streamNames.prompts, durable);
    expect(readRollout((await bench.stored(task.key!, "rollout"))!).sequences).toHaveLength(400);
    expect(await bench.runs.registrations("bench")).toEqual([]);
  });
});
