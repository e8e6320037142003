/** Peak memory of a training step over a large vocabulary, with the vocabulary loss in blocks of rows and without. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { normals } from "../../services/shared/base/random.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { headDigest, initModel } from "../../services/shared/ml/models/model.js";
import type { Score } from "../../services/shared/ml/signals/score.js";
import { characterTokenizer } from "../../services/shared/ml/text/character-tokenizer.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../support/loss/loss.js";
import { threads } from "./harness.js";

const [vocab, width, prompt, fresh] = [50_000, 64, 8, 64];
const signals = ["top_k", "hidden", "full"] as const;
const sizes = [4, 8] as const;
const k = 64;

type Kind = (typeof signals)[number];

/** The whole distribution, its first k classes, or hidden states; values do not matter for memory. */
function scoreOf(kind: Kind, digest: string): Score {
  const signal = { kind, k, temperature: 1, hiddenDtype: "float32" as const };
  const flat = (length: number) => new Float32Array(length).fill(-Math.log(vocab));
  if (kind === "full") return { signal, logprobs: flat(fresh), full: flat(fresh * vocab) };
  if (kind === "hidden") return { signal, hidden: normals(1n, fresh * width, 1), headDigest: digest };
  const ids = Int32Array.from({ length: fresh * k }, (_, i) => i % k);
  return { signal, logprobs: flat(fresh), ids, topLogprobs: flat(fresh * k), tail: new Float32Array(fresh).fill(Math.log(1 - k / vocab)) };
}

/** One process: takes two steps and prints how far its memory rose above what it held before them, in bytes. */
async function measure(kind: Kind, batchSize: number, blocked: boolean): Promise<void> {
  const raw = { model_type: "llama", hidden_act: "silu", vocab_size: vocab, hidden_size: width, num_hidden_layers: 1 };
  const more = { num_attention_heads: 4, num_key_value_heads: 2, intermediate_size: 128, max_position_embeddings: 128, rms_norm_eps: 1e-5 };
  const { config, params } = initModel({ ...raw, ...more, tie_word_embeddings: true, eos_token_id: 2 }, characterTokenizer("abc"), 1n);
  const objective: Objective = { ...plainObjective, divergence: "jsd", signal: kind, k };
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
  const options = { device: "cpu" as const, threads, objective, optimizer, microBatchTokens: 1 << 20 };
  const trainer = new Trainer(config, params, blocked ? options : { ...options, blockRows: 0 });
  const head = float32(normals(2n, vocab * width, 0.1), [vocab, width]);
  trainer.addHead(head);
  const batch = Array.from({ length: batchSize }, (_, b) => ({
    promptIds: Int32Array.from({ length: prompt }, (_, t) => 3 + t + b),
    completionIds: Int32Array.from({ length: fresh }, (_, n) => 3 + ((n * 17 + b) % 1000)),
    score: scoreOf(kind, headDigest(head)),
  }));
  const before = process.memoryUsage().rss;
  for (let step = 0; step < 2; step++) await trainer.step(batch, 1e-6);
  console.log(JSON.stringify({ bytes: process.resourceUsage().maxRSS * 1024 - before }));
  await trainer.release();
}

/** How far the memory of a process of its own rises, in bytes. */
function riseOf(kind: Kind, batchSize: number, blocked: boolean): number {
  const args = [fileURLToPath(import.meta.url), kind, String(batchSize), String(blocked)];
  const { stdout, status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return (JSON.parse(stdout) as { bytes: number }).bytes;
}

const [kind, batchSize, blocked] = process.argv.slice(2);
if (kind) await measure(kind as Kind, Number(batchSize), blocked === "true");
else {
  const mega = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  for (const signal of signals) {
    for (const size of sizes) {
      const one = size * fresh * vocab * 4;
      const [plain, blocks] = [riseOf(signal, size, false), riseOf(signal, size, true)];
      const arrays = (bytes: number) => `${mega(bytes)} (${(bytes / one).toFixed(1)} arrays)`;
      console.log(
        `loss-memory ${signal}, ${size * fresh} rows × ${vocab} classes, one array ${mega(one)}: plain +${arrays(plain)}, blocked +${arrays(blocks)}, ${(plain / blocks).toFixed(1)}x`,
      );
    }
  }
}
