import { loadModel } from "../../services/shared/ml/models/files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";

const m = await loadModel("/work/shared/models/babyllama-105");
for (const chunkTokens of [16, 64, 256]) {
  const s = new Sampler(m.config, m.params, { device: "cpu", threads: 2, chunkTokens, maxRows: 64 });
  const prompt = Int32Array.from([1, ...m.tokenizer.encode("Once upon a time")]);
  const [c] = await s.sample(
    [
      { promptIds: prompt, seed: 1n },
      { promptIds: prompt.subarray(0, 5), seed: 1n },
    ],
    { temperature: 0, topK: 0, topP: 1, maxNewTokens: 179, stopIds: [1] },
  );
  console.log(JSON.stringify(m.tokenizer.decode(c!.ids)));
  const rs = await s.sample(
    [
      { promptIds: prompt, seed: 7n },
      { promptIds: prompt.subarray(0, 5), seed: 8n },
      { promptIds: prompt.subarray(0, 9), seed: 9n },
    ],
    { temperature: 1, topK: 0, topP: 1, maxNewTokens: 100, stopIds: [1] },
  );
  for (const r of rs) console.log(r.finish, JSON.stringify(m.tokenizer.decode(r.ids)));
  const sc = new Scorer(m.config, m.params, { device: "cpu", threads: 2, batchTokens: 4096 });
  const ps = [prompt, prompt.subarray(0, 5), prompt.subarray(0, 9)];
  const scores = await sc.score(
    rs.map((r, i) => ({ promptIds: ps[i]!, completionIds: r.ids })),
    { kind: "top_k", k: 5, temperature: 1 },
  );
  console.log(
    "max diff",
    Math.max(...rs.flatMap((r, i) => [...r.logprobs].map((x, n) => Math.abs(x - scores[i]!.logprobs[n]!)))),
    scores[0]!.tail!.slice(0, 3),
  );
}
for (const [name, V, D, L, H, G, F] of [
  ["tiny", 512, 128, 2, 4, 2, 384],
  ["medium", 4096, 256, 4, 8, 4, 704],
] as const) {
  const x = initModel(
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
    m.tokenizer,
    1n,
  );
  const s = new Sampler(x.config, x.params, { device: "cpu", threads: 2, chunkTokens: 64, maxRows: 64 });
  const reqs = Array.from({ length: 32 }, (_, b) => ({
    promptIds: Int32Array.from({ length: 16 }, (_, i) => (i * 7 + b) % V),
    seed: BigInt(b),
  }));
  const p = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 64, stopIds: [] };
  let t = performance.now();
  await s.sample(reqs, p);
  console.log("first", performance.now() - t);
  for (let i = 0; i < 6; i++) {
    t = performance.now();
    await s.sample(reqs, p);
    const ms = performance.now() - t;
    console.log(name, ms.toFixed(0), "ms", (2048e3 / ms).toFixed(0), "tok/s");
  }
  t = performance.now();
  await s.setWeights(x.params);
  await s.sample(reqs, p);
  console.log("new weights", performance.now() - t);
}
