/** What training an adapter costs beside training all weights: a step, a new version's way to a student, and memory. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StudentSource } from "../../services/learner/model/open-student.js";
import type { TrainHost } from "../../services/learner/model/train-host.js";
import { normals } from "../../services/shared/base/random.js";
import { spawnWorker } from "../../services/shared/base/workers.js";
import { DirectoryStore } from "../../services/shared/flow/weights/directory-store.js";
import { NatsStore } from "../../services/shared/flow/weights/nats-store.js";
import type { WeightStore } from "../../services/shared/flow/weights/store.js";
import { weightsFilesOf } from "../../services/shared/ml/models/checkpoint/open.js";
import { allLinear } from "../../services/shared/ml/models/lora.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";
import { StudentModel } from "../../services/student/student-model.js";
import { plainObjective } from "../support/loss/loss.js";
import { TestNats } from "../support/servers/nats.js";
import { median, threads } from "./harness.js";
import { benchModel, loads, type Shape, saveForPeers, shapes, tokenRows } from "./shapes.js";

const kinds = ["full", "adapter"] as const;
const parts = ["train", "publish"] as const;
const lora = { r: 16, alpha: 32, useRslora: false, targetModules: [allLinear], seed: 1n };
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
const trainerOptions = { device: "cpu", threads, objective: plainObjective, optimizer, microBatchTokens: 1 << 16 } as const;

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}

/** The same sequences for every kind, with a made-up teacher's distribution over each completion token. */
function batchOf(shape: Shape, vocab: number): TrainSequence[] {
  const { prompt, fresh } = loads[shape];
  return tokenRows(4, prompt + fresh).map((ids, row) => {
    const full = normals(BigInt(row), fresh * vocab, 1);
    for (let n = 0; n < fresh; n++) {
      const logits = full.subarray(n * vocab, (n + 1) * vocab);
      const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
      for (let i = 0; i < vocab; i++) logits[i] = (logits[i] as number) - total;
    }
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs: new Float32Array(fresh).fill(-5), full };
    return { promptIds: ids.subarray(0, prompt), completionIds: ids.subarray(prompt), score };
  });
}

const openHost = () => spawnWorker<TrainHost>(new URL("../../services/learner/model/train-worker.js", import.meta.url));

const memory = () => `${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB at most`;

async function train(shape: Shape, source: StudentSource, name: string): Promise<void> {
  const host = openHost();
  const student = await host.api.open(source, trainerOptions);
  const batch = batchOf(shape, student.vocabSize);
  const { ms: first } = await timed(() => host.api.step(batch, 1e-4));
  const steps: number[] = [];
  for (let i = 0; i < loads[shape].repetitions; i++) steps.push((await timed(() => host.api.step(batch, 1e-4))).ms);
  console.log(
    `${name}: ${student.trained} of ${student.parameters} numbers trained, a step ${median(steps).toFixed(0)} ms (the first ${first.toFixed(0)} ms), the learner's process ${memory()}`,
  );
  await host.close();
}

async function publish(shape: Shape, source: StudentSource, name: string): Promise<void> {
  const host = openHost();
  await host.api.open(source, trainerOptions);
  const nats = await TestNats.start();
  const directory = await mkdtemp(join(tmpdir(), "retort-bench-"));
  const stores: [string, WeightStore][] = [
    ["directory", new DirectoryStore(directory)],
    ["NATS", new NatsStore(await nats.connect(), directory)],
  ];
  const { prompt, fresh, batch, repetitions } = loads[shape];
  const requests = tokenRows(batch, prompt).map((promptIds, i) => ({ promptIds, seed: BigInt(i) }));
  const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: fresh };
  for (const [kind, store] of stores) {
    const publish = async (version: number) => {
      const files = await host.api.writeVersion(await store.stage("bench", 1n), version === 0);
      await store.put("bench", version, files, 1n);
      return files;
    };
    const whole = await publish(0);
    const weights = weightsFilesOf(whole.map(({ name: file }) => file));
    const isWeights = (file: string) => weights.includes(file);
    const isBase = (file: string) => !file.startsWith("adapter_");
    const held = (part: string) => store.holding("bench", `student/${part}`);
    const model = new StudentModel({ device: "cpu", threads, chunkTokens: 64, maxRows: 64 } as ConstructorParameters<
      typeof StudentModel
    >[0]);
    await store.fetch("bench", 0, held("base"), isBase);
    if (weights[0]?.startsWith("adapter_")) await store.fetch("bench", 0, held("adapter"), (file) => !isBase(file));
    await model.open(weights[0]?.startsWith("adapter_") ? { directory: held("adapter"), base: held("base") } : { directory: held("base") });
    const firstSample = (await timed(() => model.sample(requests, sampling))).ms;
    const times = { publish: [] as number[], fetch: [] as number[], take: [] as number[], next: [] as number[], again: [] as number[] };
    for (let version = 1; version <= Math.max(3, repetitions); version++) {
      times.publish.push((await timed(() => publish(version))).ms);
      const directory = held(String(version));
      times.fetch.push((await timed(() => store.fetch("bench", version, directory, isWeights))).ms);
      times.take.push((await timed(() => model.useWeights(directory))).ms);
      times.next.push((await timed(() => model.sample(requests, sampling))).ms);
      times.again.push((await timed(() => model.sample(requests, sampling))).ms);
      await store.delete("bench", version);
      await rm(held(String(version - 1)), { recursive: true, force: true });
    }
    const ms = (list: readonly number[]) => `${median(list).toFixed(0)} ms`;
    const size = whole.reduce((sum, { name: file, sizeBytes }) => (isWeights(file) ? sum + sizeBytes : sum), 0) / 2 ** 20;
    console.log(
      `${name}, ${kind}: a version of ${size.toFixed(1)} MiB is published in ${ms(times.publish)}; a student fetches it in ${ms(times.fetch)} and takes it in ${ms(times.take)}, then writes ${batch} completions in ${ms(times.next)} (without a new version ${ms(times.again)}, the very first time ${firstSample.toFixed(0)} ms)`,
    );
    await model.close();
    await store.deleteAll("bench");
  }
  console.log(`${name}: learner and student together ${memory()}`);
  await host.close();
  await nats.stop();
  await rm(directory, { recursive: true, force: true });
}

async function main([part, kind, shape, directory]: readonly string[]): Promise<void> {
  const source = { directory: directory as string, ...(kind === "adapter" ? { adapter: lora } : {}) };
  const name = `adapter ${shape}, ${kind === "adapter" ? `rank ${lora.r}` : "all weights"}`;
  await (part === "train" ? train : publish)(shape as Shape, source, name);
}

if (process.argv.length > 2) await main(process.argv.slice(2));
else
  for (const shape of shapes) {
    const directory = await saveForPeers(benchModel(shape, "student"));
    // Each in a process of its own, so that none sees another's memory.
    for (const part of parts)
      for (const kind of kinds)
        spawnSync(process.execPath, [fileURLToPath(import.meta.url), part, kind, shape, directory], { stdio: "inherit" });
  }
