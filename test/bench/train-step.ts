import { spawnSync } from "node:child_process";
import { normals } from "../../services/shared/base/random.js";
import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { parseConfig } from "../../services/shared/ml/models/config.js";
import { paramSpecs } from "../../services/shared/ml/models/params.js";
import { Session } from "../../services/shared/ml/runtime/session.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";

/** The peers' shapes (a tied llama): 32 sequences of 16 prompt and 64 completion tokens. */
const shapes = {
  tiny: { vocab: 512, width: 128, layers: 2, heads: 4, kvHeads: 2, ffn: 384 },
  medium: { vocab: 4096, width: 256, layers: 4, heads: 8, kvHeads: 4, ffn: 704 },
} as const;
const [batch, prompt, completion] = [32, 16, 64];
const session = { device: "cpu", threads: 2 } as const;

const objective: Objective = {
  divergence: "jsd",
  beta: 0.5,
  skew: 0.1,
  weight: 0.5,
  normalizeJsd: false,
  signal: "full",
  k: 0,
  alpha: 1,
  studentTemperature: 1,
  klCoef: 1,
  ratioClip: 5,
  normalisation: "token",
};

type Shape = (typeof shapes)[keyof typeof shapes];

function trainerOf({ vocab, width, layers, heads, kvHeads, ffn }: Shape): Trainer {
  const config = parseConfig({
    model_type: "llama",
    vocab_size: vocab,
    hidden_size: width,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    tie_word_embeddings: true,
    max_position_embeddings: 2048,
  });
  const weights = new Map(
    paramSpecs(config).map(({ name, dims }, i) => {
      const size = dims.reduce((a, b) => a * b, 1);
      return [name, float32(name.endsWith("norm.weight") ? new Float32Array(size).fill(1) : normals(BigInt(i), size, 0.02), dims)];
    }),
  );
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
  return new Trainer(config, weights, { ...session, objective, optimizer, microBatchTokens: 1 << 16 });
}

/** Random tokens and a random teacher's distributions; the sampler's log-probabilities are made up. */
function batchOf(vocab: number): TrainSequence[] {
  const noise = normals(7n, 1 << 20, 1);
  return Array.from({ length: batch }, (_, b) => {
    const full = Float32Array.from({ length: completion * vocab }, (_, i) => noise[(i + b * 7919) % noise.length]!);
    for (let n = 0; n < completion; n++) logSoftmax(full.subarray(n * vocab, (n + 1) * vocab));
    const ids = Int32Array.from({ length: prompt + completion }, (_, t) => (b * 31 + t * 17) % vocab);
    const logprobs = new Float32Array(completion).fill(-5);
    const score = { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs, full };
    return { promptIds: ids.subarray(0, prompt), completionIds: ids.subarray(prompt), samplerLogprobs: logprobs, score };
  });
}

function logSoftmax(row: Float32Array): void {
  const logTotal = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
  for (let i = 0; i < row.length; i++) row[i]! -= logTotal;
}

/** 6 floating-point operations per weight and token in the body, and per head weight and completion token. */
function gigaFlops({ vocab, width, layers, heads, kvHeads, ffn }: Shape): number {
  const body = layers * width * (2 * width + (2 * width * kvHeads) / heads + 3 * ffn);
  return (6 * batch * (body * (prompt + completion) + vocab * width * completion)) / 1e9;
}

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1]!;

async function timed(repetitions: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < repetitions + 2; i++) {
    const start = performance.now();
    await work();
    if (i >= 2) times.push(performance.now() - start);
  }
  return median(times);
}

/** GFLOP/s of a 1024³ product: the roofline. */
async function gemmRate(): Promise<number> {
  const graph = new Graph("gemm");
  const a = graph.input("a", "float32", [1024, 1024]);
  graph.output("sum", op.reduceSum(op.matMul(a, a)));
  const compiled = await Session.create(graph, session);
  const feeds = { a: float32(new Float32Array(1 << 20).fill(0.01), [1024, 1024]) };
  const ms = await timed(7, () => compiled.run(feeds));
  await compiled.release();
  return (2 * 1024 ** 3) / ms / 1e6;
}

/** Milliseconds of PyTorch's step on the same shapes, from the peers' script; undefined without RETORT_PEERS_PYTHON. */
function peerMs(model: string): number | undefined {
  const python = process.env.RETORT_PEERS_PYTHON;
  const script = process.env.RETORT_PEERS_TRAIN;
  if (!python || !script) return undefined;
  const { stdout } = spawnSync(python, [script, "--model", model, "--loss", "sliced"], { encoding: "utf8" });
  const last = stdout.trim().split("\n").at(-1) ?? "{}";
  const median = (JSON.parse(last.slice(last.indexOf("{"))) as { median_s?: number }).median_s;
  return median === undefined ? undefined : median * 1000;
}

for (const [name, shape] of Object.entries(shapes)) {
  if (process.argv[2] && process.argv[2] !== name) continue;
  const trainer = trainerOf(shape);
  const sequences = batchOf(shape.vocab);
  const roofline = await gemmRate();
  const ms = await timed(name === "tiny" ? 15 : 5, () => trainer.step(sequences, 1e-6));
  await trainer.release();
  const rate = gigaFlops(shape) / (ms / 1000);
  const peer = peerMs(name);
  const line = {
    bench: "train-step",
    shape: name,
    ms: Math.round(ms * 10) / 10,
    gflops: Math.round(rate),
    roofline: Math.round(roofline),
    share: Math.round((rate / roofline) * 100) / 100,
    rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
    ...(peer ? { peerMs: Math.round(peer), ratio: Math.round((peer / ms) * 100) / 100 } : {}),
  };
  console.log(JSON.stringify(line));
}
