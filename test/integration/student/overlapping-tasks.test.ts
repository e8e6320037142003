import { create } from "@bufbuild/protobuf";
import { toFloat32, toInt32, toRecord, toUint32 } from "../../../services/shared/flow/arrays.js";
import { sampleSeed } from "../../../services/shared/flow/prompts/plan.js";
import { publishTask } from "../../../services/shared/flow/prompts/publish-task.js";
import { readRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { samplesOf } from "../../../services/shared/flow/rollouts/sequences.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import { subjects } from "../../../services/shared/flow/subjects.js";
import { type PromptTask, PromptTaskSchema, Purpose } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { initModel, type Model } from "../../../services/shared/ml/models/model.js";
import { Sampler } from "../../../services/shared/ml/sampling/sampler.js";
import { characterTokenizer } from "../../../services/shared/ml/text/character-tokenizer.js";
import { expectAllClose } from "../../support/jest/all-close.js";
import { smallConfigs } from "../../support/models/small-model.js";
import { example, RunBench } from "../../support/runs/run-bench.js";

const drawing = { temperature: 1, topK: 0, topP: 1 };
const durable = durables.student("bench");
/** Long for the example's student, which draws its end with a chance of its own. */
const long = 50;
/** A model of so many words that it hardly ever draws its end: what it writes is as long as it may be. */
function neverEnding(): Model {
  const words = Array.from({ length: 8000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join("");
  const raw = { ...smallConfigs.llama, vocab_size: 8003, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, hidden_act: "silu" };
  const rest = { initializer_range: 0.02, rms_norm_eps: 1e-5, eos_token_id: 2, max_position_embeddings: 512 };
  return initModel({ ...raw, ...rest }, characterTokenizer(words), 7n);
}

const specOf = (maxStaleness: number) =>
  `rollouts: { maxStaleness: ${maxStaleness}, maxAttempts: 3 }\nphases: [{ preset: on_policy_kd, steps: 9 }]`;

/** A task of `count` samples. */
const taskOf = (task: number, prompts: readonly Int32Array[], count: number, maxNewTokens: number): PromptTask =>
  create(PromptTaskSchema, {
    key: { runId: "bench", purpose: Purpose.TRAIN, step: 1, task, attempt: 1 },
    prompts: prompts.map((ids, index) => ({ index, text: `${index}`, reference: "one", ids: toRecord(ids) })),
    samplesPerPrompt: count,
    sampling: { ...drawing, maxNewTokens },
    seed: BigInt(50 + task),
    maxPolicyVersion: 1,
  });

/** Where the results stream has the rollout of a task. */
async function placeOf(bench: RunBench, { key }: PromptTask): Promise<number> {
  await bench.result(key!, "rollout");
  const message = await bench.streams.manager.streams.getMessage(streamNames.results, { last_by_subj: subjects.result(key!, "rollout") });
  return message!.seq;
}

// One token per run, so that the long task is still being written when the others come.
const slowly = ["--chunk-tokens=1", "--max-rows=16"];

describe("a student with several tasks of one policy version", () => {
  let bench: RunBench;
  beforeEach(async () => {
    bench = await RunBench.start(specOf(1));
  });
  afterEach(() => bench.stop());

  const publishAll = async (tasks: readonly PromptTask[], model?: Model) => {
    for (const task of tasks) await publishTask(bench.streams, task);
    await bench.announce(0, model);
  };

  it("writes them together: a short one isn't kept waiting by a long one, and each has the samples that it has alone", async () => {
    const model = neverEnding();
    const { config, params } = model;
    const prompt = Int32Array.of(5, 6, 7);
    const tasks = [taskOf(0, [prompt], 8, 500), taskOf(1, [prompt], 2, 1), taskOf(2, [prompt, prompt.slice(0, 2)], 3, 2)];
    await publishAll(tasks, model);
    bench.role("student", ...slowly);
    const places = await Promise.all(tasks.map((task) => placeOf(bench, task)));
    expect(places[1]).toBeLessThan(places[0]!);
    expect(places[2]).toBeLessThan(places[0]!);
    await bench.idle(streamNames.prompts, durable);
    for (const task of tasks) {
      const sampler = new Sampler(config, params, { device: "cpu", threads: 1, chunkTokens: 64, maxRows: 64 });
      const requests = samplesOf(task).map((one) => ({ ...one, seed: sampleSeed(task.seed, one.prompt, one.sample) }));
      const alone = await sampler.sample(requests, { ...drawing, maxNewTokens: task.sampling!.maxNewTokens!, stopIds: config.eosIds });
      await sampler.release();
      const { sequences } = readRollout((await bench.stored(task.key!, "rollout"))!);
      expect(sequences.map(({ completionIds }) => [...toInt32(completionIds, "ids")])).toEqual(alone.map(({ ids }) => [...ids]));
      for (const [i, { samplerLogprobs, policyVersions }] of sequences.entries()) {
        expectAllClose(toFloat32(samplerLogprobs, "logprobs"), alone[i]!.logprobs, { rtol: 1e-4, atol: 1e-5 });
        expect(new Set(toUint32(policyVersions, "versions"))).toEqual(new Set([0]));
      }
    }
  });

  it("takes no more of them than fill its places and wait for the next, and the others when it is lost", async () => {
    const { tokenizer } = await loadModel(example("models/student"));
    const prompts = Array.from({ length: 8 }, (_, i) => tokenizer.encode(`${i}=`, { addSpecial: true }));
    const tasks = Array.from({ length: 12 }, (_, n) => taskOf(n, prompts, 1, long));
    await publishAll(tasks);
    const lost = bench.role("student", ...slowly);
    await bench.inHand(streamNames.prompts, durable);
    const { num_ack_pending } = await bench.streams.manager.consumers.info(streamNames.prompts, durable);
    await lost.kill();
    // 16 places: two tasks of 8 fill them, and one is at hand for those that leave.
    expect(num_ack_pending).toBeLessThanOrEqual(3);
    bench.role("student", "--chunk-tokens=8", "--max-rows=16");
    for (const { key } of tasks) expect(readRollout(await bench.result(key!, "rollout")).sequences).toHaveLength(8);
    await bench.idle(streamNames.prompts, durable);
  });
});

describe("a student of a run whose bits repeat", () => {
  it("writes one task after another, in their order", async () => {
    const bench = await RunBench.start(specOf(0));
    try {
      const { tokenizer } = await loadModel(example("models/student"));
      const prompt = tokenizer.encode("12=", { addSpecial: true });
      const tasks = [taskOf(0, [prompt], 8, long), taskOf(1, [prompt], 2, 1)];
      for (const task of tasks) await publishTask(bench.streams, task);
      await bench.announce(0);
      bench.role("student", ...slowly);
      const places = await Promise.all(tasks.map((task) => placeOf(bench, task)));
      expect(places[0]).toBeLessThan(places[1]!);
    } finally {
      await bench.stop();
    }
  });
});
