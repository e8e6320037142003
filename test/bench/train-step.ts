/** Milliseconds of a training step (JSD(0.5) on whole distributions), against PyTorch's if it is at hand. */
import { rm } from "node:fs/promises";
import { normals } from "../../services/shared/base/random.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../support/loss/loss.js";
import { gemmRate, havePeers, Peer, race, threads } from "./harness.js";
import { benchModel, type Load, loadArguments, loads, type Shape, saveForPeers, shapes, tokenRows } from "./shapes.js";

const objective: Objective = { ...plainObjective, divergence: "jsd", normalisation: "token" };
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };

/** Sequences with a made-up teacher's distribution over each completion token. */
function batchOf(vocab: number, load: Load): TrainSequence[] {
  return tokenRows(load.batch, load.prompt + load.fresh).map((ids, row) => {
    const full = normals(BigInt(row), load.fresh * vocab, 1);
    for (let n = 0; n < load.fresh; n++) normalise(full.subarray(n * vocab, (n + 1) * vocab));
    const logprobs = new Float32Array(load.fresh).fill(-5);
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
    return { promptIds: ids.subarray(0, load.prompt), completionIds: ids.subarray(load.prompt), samplerLogprobs: logprobs, score };
  });
}

function normalise(logits: Float32Array): void {
  const logTotal = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  for (let i = 0; i < logits.length; i++) logits[i]! -= logTotal;
}

async function bench(shape: Shape, peers: boolean, roof: number): Promise<void> {
  const model = benchModel(shape, "student");
  const load = loads[shape];
  const { vocabSize, hiddenSize } = model.config;
  const trainer = new Trainer(model.config, model.params, { device: "cpu", threads, objective, optimizer, microBatchTokens: 1 << 16 });
  const batch = batchOf(vocabSize, load);
  const directory = await saveForPeers(model);
  const peer = peers ? new Peer("torch", "train.py", ["--model", directory, ...loadArguments(load)]) : undefined;
  const ours = { name: "retort", run: () => trainer.step(batch, 1e-6) };
  const seconds = await race([ours, ...(peer ? [peer] : [])], load.repetitions);
  peer?.stop();
  await rm(directory, { recursive: true });
  await trainer.release();
  // Six operations per weight and token; the (tied) head works on completion tokens only.
  const head = vocabSize * hiddenSize;
  const body = parameterCount(model.config) - head;
  const flop = 6 * load.batch * (body * (load.prompt + load.fresh) + head * load.fresh);
  const first = seconds.get("retort")!;
  for (const [name, s] of seconds) {
    const rate = `${(flop / s / 1e9).toFixed(0)} GFLOP/s, ${((flop / s / 1e9 / roof) * 100).toFixed(0)} % of the roof`;
    console.log(
      `train-step ${shape}, ${load.batch} sequences of ${load.prompt + load.fresh} tokens: ${name}: ${(s * 1000).toFixed(0)} ms, ${rate}, ${(s / first).toFixed(2)}x the time of retort`,
    );
  }
}

const roof = await gemmRate();
console.log(`train-step: ${threads} threads, roof ${roof.toFixed(0)} GFLOP/s`);
const peers = havePeers();
for (const shape of shapes) await bench(shape, peers, roof);
