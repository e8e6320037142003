/** The work of ours that benches race, in a process of its own: `node worker.js KIND OPTIONS`, see {@link serve}. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectController, startLocal } from "../../services/cli/local.js";
import { checkSucceeded } from "../../services/cli/runs/runs.js";
import { TrainHost } from "../../services/learner/model/train-host.js";
import { normals } from "../../services/shared/base/random.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { type HostOptions, ModelHost } from "../../services/shared/ml/host/model-host.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import type { Device } from "../../services/shared/ml/runtime/session.js";
import type { Signal } from "../../services/shared/ml/signals/score.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";
import type { ComputeDtype } from "../../services/shared/ml/training/compute-dtype.js";
import { plainObjective } from "../support/loss/loss.js";
import { median, threads } from "./harness.js";
import { watchMemory } from "./processes.js";
import { type Figures, serve } from "./served.js";
import { type Load, tokenRows } from "./shapes.js";

/** What every kind is told. */
export interface WorkOptions {
  readonly directory: string;
  readonly load: Load;
  /** Element type of the weights, where the engine has several. */
  readonly dtype?: string;
  readonly chunkTokens?: number;
  /** Default: cpu. */
  readonly device?: Device;
}

const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
const objective: Objective = { ...plainObjective, divergence: "jsd", normalisation: "token" };
/** How learners of benches train. */
export const trainerOptions = { device: "cpu", threads, objective, optimizer, microBatchTokens: 0 } as const;

async function openHost({ directory, load, dtype, chunkTokens = 64, device = "cpu" }: WorkOptions): Promise<ModelHost> {
  const host = new ModelHost();
  // A run's student follows versions.
  const options = {
    device,
    threads,
    chunkTokens,
    maxRows: load.batch,
    batchTokens: 8192,
    followsVersions: true,
    ...(dtype ? { dtype } : {}),
  };
  await host.open({ directory }, options as HostOptions);
  return host;
}

/** Completions of the load's prompts. A word is JSON of sampling settings. */
async function sample(options: WorkOptions): Promise<void> {
  const host = await openHost(options);
  const { batch, prompt, fresh } = options.load;
  let seed = 0n;
  await serve(async (word) => {
    const settings = { temperature: 1, topK: 0, topP: 1, maxNewTokens: fresh, ...(word ? (JSON.parse(word) as object) : {}) };
    const requests = tokenRows(batch, prompt).map((promptIds) => ({ promptIds, seed: seed++ }));
    const completions = await host.sample(requests, settings);
    return { tokens: completions.reduce((sum, { ids }) => sum + ids.length, 0) };
  });
}

/** The same with other weights each time, the files of a version as a student gets them. */
async function sampleNew(options: WorkOptions): Promise<void> {
  const [host, learner] = [await openHost(options), new TrainHost()];
  await learner.open({ directory: options.directory }, trainerOptions);
  const { batch, prompt, fresh } = options.load;
  const requests = tokenRows(batch, prompt).map((promptIds, row) => ({ promptIds, seed: BigInt(row) }));
  let version = 0;
  await serve(async () => {
    const directory = await mkdtemp(join(tmpdir(), `retort-version-${version++}-`));
    await learner.writeVersion(directory, false);
    const start = performance.now();
    await host.useWeights(directory);
    await host.sample(requests, { temperature: 1, topK: 0, topP: 1, maxNewTokens: fresh });
    const seconds = (performance.now() - start) / 1000;
    await rm(directory, { recursive: true });
    return { seconds };
  });
}

/** Scores of the load's completions. A word is JSON of a signal. */
async function score(options: WorkOptions): Promise<void> {
  const host = await openHost(options);
  const { batch, prompt, fresh } = options.load;
  const inputs = tokenRows(batch, prompt + fresh).map((ids) => ({
    promptIds: ids.subarray(0, prompt),
    completionIds: ids.subarray(prompt),
  }));
  await serve(async (word) => {
    await host.score(inputs, word ? (JSON.parse(word) as Signal) : { kind: "full", k: 0, temperature: 1 });
    return {};
  });
}

/** Sequences as a teacher hasn't seen them. */
const trainRows = (load: Load): TrainSequence[] =>
  tokenRows(load.batch, load.prompt + load.fresh).map((ids) => ({
    promptIds: ids.subarray(0, load.prompt),
    completionIds: ids.subarray(load.prompt),
  }));

/** Sequences with a made-up teacher's distribution over each completion token. */
export function trainBatch(vocab: number, load: Load): TrainSequence[] {
  return trainRows(load).map((sequence, row) => {
    const full = normals(BigInt(row), load.fresh * vocab, 1);
    for (let n = 0; n < load.fresh; n++) normalise(full.subarray(n * vocab, (n + 1) * vocab));
    const logprobs = new Float32Array(load.fresh).fill(-5);
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
    return { ...sequence, samplerLogprobs: logprobs, score };
  });
}

function normalise(logits: Float32Array): void {
  const logTotal = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  for (let i = 0; i < logits.length; i++) logits[i]! -= logTotal;
}

/** What a learner is told. */
interface TrainWork extends WorkOptions {
  /** Without a teacher. Default false. */
  readonly plain?: boolean;
  readonly gradientCheckpointing?: boolean;
  /** What products are computed in. Default float32. */
  readonly computeDtype?: ComputeDtype;
}

/** Optimiser steps. */
async function train({ directory, load, plain, gradientCheckpointing, computeDtype, device = "cpu" }: TrainWork): Promise<void> {
  const host = new TrainHost();
  const options = { ...trainerOptions, device, gradientCheckpointing, computeDtype };
  const crossEntropy = { ...plainObjective, divergence: "cross_entropy" as const };
  const { vocabSize } = await host.open({ directory }, plain ? { ...options, objective: crossEntropy } : options);
  const batch = plain ? trainRows(load) : trainBatch(vocabSize, load);
  await serve(async () => {
    await host.step(batch, 1e-6);
    return {};
  });
}

/** What a whole run is told. */
export interface RunOptions {
  readonly student: string;
  readonly teacher: string;
  /** JSON Lines file. */
  readonly prompts: string;
  readonly load: Load;
  readonly maxStaleness: number;
  readonly warmup: number;
  readonly scratch: string;
}

/** A run through all the services; each word starts another. Seconds, parts of them and tokens are medians of steps. */
async function run(options: RunOptions): Promise<void> {
  await serve(async () => {
    const directory = await mkdtemp(join(options.scratch, "run-"));
    await mkdir(join(directory, "data"));
    try {
      return await runOnce(options, directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

async function runOnce({ student, teacher, prompts, load, maxStaleness, warmup }: RunOptions, directory: string): Promise<Figures> {
  const phase = {
    preset: "gkd",
    lambda: 1,
    steps: warmup + load.repetitions,
    batchSize: load.batch,
    sampling: { temperature: 1, maxNewTokens: load.fresh },
    optimizer: { learningRate: 1e-6 },
  };
  const common = { name: "bench", data: { path: prompts }, rollouts: { maxStaleness } };
  const spec = { ...common, student: { model: student }, teachers: [{ model: teacher }], phases: [phase] };
  const memory = watchMemory(process.pid);
  const service = await startLocal({ dataDir: join(directory, "data"), port: 0, natsPort: 0, progress: console.error });
  const controller = connectController(service.address);
  try {
    const { run } = await controller.startRun({ spec: parseSpec(JSON.stringify(spec), join(directory, "spec.yaml")) });
    const found: StepFinished[] = [];
    let peaks: ReturnType<typeof memory> | undefined;
    for await (const { event } of controller.watchRun({ runId: run!.runId })) {
      if (event?.event.case !== "stepFinished") continue;
      found.push(event.event.value);
      // The roles end soon after the last step.
      if (found.length === phase.steps) peaks = memory();
    }
    checkSucceeded((await controller.getRun({ runId: run!.runId })).run!);
    const late = found.slice(warmup);
    const of = (figure: (step: StepFinished) => number) => median(late.map(figure));
    return {
      seconds: of((step) => step.seconds),
      tokens: of((step) => step.completionTokens),
      // Of all steps: lengths differ from step to step.
      rate: late.reduce((sum, step) => sum + step.completionTokens, 0) / late.reduce((sum, step) => sum + step.seconds, 0),
      sample: of((step) => step.sampleSeconds),
      score: of((step) => step.scoreSeconds),
      train: of((step) => step.trainSeconds),
      publish: of((step) => step.publishSeconds),
      ...peaks,
    };
  } finally {
    controller.close();
    await service.stop();
  }
}

const kinds: Readonly<Record<string, (options: never) => Promise<void>>> = {
  nothing: () => serve(async () => ({})),
  run,
  sample,
  "sample-new": sampleNew,
  score,
  train,
};

const [kind, options] = process.argv.slice(2);
if (kind && kinds[kind]) await kinds[kind](JSON.parse(options as string) as never);
