import { microBatchTokensFor } from "../../../../../services/shared/ml/models/memory-estimate.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";

const shape = (layers: number, width: number, hidden: number, vocab: number) =>
  parseConfig({
    ...{ model_type: "llama", vocab_size: vocab, hidden_size: width, intermediate_size: hidden, num_hidden_layers: layers },
    ...{ num_attention_heads: width / 64, num_key_value_heads: width / 64, max_position_embeddings: 8192, rms_norm_eps: 1e-5 },
    ...{ tie_word_embeddings: true },
  });

describe("microBatchTokensFor()", () => {
  const smol = shape(30, 576, 1536, 49_152);

  it("takes eight sequences of 96 tokens at once with 135M parameters", () => {
    expect(microBatchTokensFor(smol, 96, false)).toBeGreaterThanOrEqual(768);
    expect(microBatchTokensFor(smol, 96, false)).toBeLessThan(864);
  });

  it("takes a small model's whole batch", () => {
    expect(microBatchTokensFor(shape(4, 256, 1024, 4096), 80, false)).toBeGreaterThan(32 * 80);
  });

  it("takes more where layers are computed again, and of a larger model", () => {
    expect(microBatchTokensFor(smol, 96, true)).toBeGreaterThan(7 * microBatchTokensFor(smol, 96, false));
    expect(microBatchTokensFor(shape(28, 1024, 3072, 151_936), 96, false)).toBeGreaterThan(384);
  });

  it("takes the longest sequence, however long it is", () => {
    expect(microBatchTokensFor(smol, 8000, false)).toBe(8000);
  });
});
