/**
 * Most memory that a learner takes, and seconds of its steps: `node train-memory.js SHAPE BATCH TOKENS [checkpointing]`, half of the
 * tokens of each sequence being its completion. A shape is a number of the table, as smollm2 or qwen3-0.6b.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { generator } from "../../services/shared/base/random.js";
import { float32, sizeOf } from "../../services/shared/ml/graph/tensor.js";
import { parameterCount, paramSpecs } from "../../services/shared/ml/models/model-params.js";
import type { Weights } from "../../services/shared/ml/models/param-spec.js";
import { parseConfig } from "../../services/shared/ml/models/parse-config.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { beginningWith } from "../../services/shared/ml/training/optimizer-state.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";
import { plainObjective } from "../support/loss/loss.js";
import { threads } from "./harness.js";
import { tokenRows } from "./shapes.js";

/** vocabulary, width, layers, heads, key/value heads, head size, feed-forward width */
const sizes: Readonly<Record<string, readonly number[]>> = {
  small: [8192, 256, 8, 8, 4, 32, 704],
  smollm2: [49152, 576, 30, 9, 3, 64, 1536],
  "qwen3-0.6b": [151936, 1024, 28, 16, 8, 128, 3072],
};

const { positionals } = parseArgs({ allowPositionals: true });
const [shape = "small", batch = "8", tokens = "128", checkpointing] = positionals;
const size = sizes[shape];
if (!size) throw new Error(`the shape "${shape}" isn't one of ${Object.keys(sizes).join(", ")}`);
const [vocab_size, hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, intermediate_size] = size;
const config = parseConfig({
  ...{ model_type: "qwen3", hidden_act: "silu", rms_norm_eps: 1e-6, rope_theta: 1e6, tie_word_embeddings: true },
  ...{ vocab_size, hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, intermediate_size },
  ...{ max_position_embeddings: 4096, bos_token_id: 1, eos_token_id: 2, pad_token_id: 0 },
});

/** Uniform within ±0.03: for what a step costs, any small numbers will do. */
function weights(): Weights {
  const next = generator(1n);
  const table = Float32Array.from({ length: 65_521 }, () => 0.06 * (next() / 2 ** 32 - 0.5));
  return new Map(
    paramSpecs(config).map(({ name, dims, kind }) => {
      const data = new Float32Array(sizeOf(dims));
      if (kind === "norm") data.fill(1);
      else for (let at = 0; at < data.length; at += table.length) data.set(table.subarray(0, data.length - at), at);
      return [name, float32(data, dims)];
    }),
  );
}

/** A field of /proc/self/status in bytes. */
const memory = (field: string): number =>
  1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

const objective = { ...plainObjective, divergence: "cross_entropy" as const };
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
const options = { device: "cpu", threads, objective, optimizer, microBatchTokens: 1 << 16 } as const;
const trainable = wholeModel(config);
const initial = weights();
const state = beginningWith(trainable.specs, initial);
const trainer = new Trainer(config, initial, { ...options, gradientCheckpointing: checkpointing !== undefined }, state, trainable);
const sequences = tokenRows(Number(batch), Number(tokens)).map((ids) => ({
  promptIds: ids.subarray(0, ids.length / 2),
  completionIds: ids.subarray(ids.length / 2),
}));
const parameters = parameterCount(config);
console.log(
  `${shape}: ${(parameters / 1e6).toFixed(0)}M parameters, 16 bytes for each are ${((16 * parameters) / 2 ** 20).toFixed(0)} MiB`,
);
for (let step = 1; step <= 3; step++) {
  const start = performance.now();
  const { loss } = await trainer.step(sequences, 1e-5);
  const [peak, anonymous] = [memory("VmHWM"), memory("RssAnon")];
  console.log(
    `step ${step}: ${((performance.now() - start) / 1000).toFixed(1)} s, loss ${loss.toFixed(4)}, peak ${(peak / 2 ** 20).toFixed(0)} MiB = ${(peak / parameters).toFixed(1)} bytes per parameter, now ${(anonymous / 2 ** 20).toFixed(0)} MiB`,
  );
}
await trainer.release();
