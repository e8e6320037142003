import { loadModel } from "../../services/shared/ml/models/files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";

const base = await loadModel("/work/shared/models/babyllama-105");
const objective = {
  divergence: "forward_kl",
  signal: "full",
  k: 0,
  alpha: 1,
  studentTemperature: 1,
  klCoef: 1,
  ratioClip: 10,
  normalisation: "sequence",
  beta: 0.5,
  skew: 0.1,
  weight: 0.5,
  normalizeJsd: false,
} as const;
const opt = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
for (const [name, V, D, L, H, G, F, P, N] of [
  ["tiny", 512, 128, 2, 4, 2, 384, 16, 64],
  ["medium", 4096, 256, 4, 8, 4, 704, 16, 64],
] as const) {
  const m = initModel(
    {
      model_type: "llama",
      vocab_size: V,
      hidden_size: D,
      intermediate_size: F,
      num_hidden_layers: L,
      num_attention_heads: H,
      num_key_value_heads: G,
      tie_word_embeddings: true,
      max_position_embeddings: 128,
    },
    base.tokenizer,
    1n,
  );
  for (const _arena of [0]) {
    const tr = new Trainer(m.config, m.params, {
      device: "cpu",
      threads: 2,
      objective: { ...objective, divergence: "jsd" },
      optimizer: opt,
      microBatchTokens: 16384,
    });
    const full = new Float32Array(N * V).fill(-Math.log(V));
    const batch = Array.from({ length: 32 }, (_, b) => ({
      promptIds: Int32Array.from({ length: P }, (_, i) => (i * 7 + b) % V),
      completionIds: Int32Array.from({ length: N }, (_, i) => (i * 3 + b) % V),
      score: { signal: { kind: "full" as const, k: 0, temperature: 1 }, logprobs: new Float32Array(N), full },
    }));
    for (let i = 0; i < 4; i++) {
      const t = performance.now();
      const s = await tr.step(batch, 1e-3);
      console.log(name, (performance.now() - t).toFixed(0), "ms", s.loss, s.gradientNorm, s.entropy);
    }
    const h = await import("../../services/shared/ml/models/model.js");
    console.log(h.digestOf(tr.params()));
  }
}
