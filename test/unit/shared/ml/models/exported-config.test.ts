import { configWarnings } from "../../../../../services/shared/ml/models/config/keys.js";
import { exportedConfig } from "../../../../../services/shared/ml/models/exported-config.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";
import { config, gemma, type Json, llama3 } from "../../../../support/models/written-configs.js";

describe("configWarnings()", () => {
  it.each<[string, Json, RegExp[]]>([
    [
      "nothing of an ordinary config",
      { architectures: ["LlamaForCausalLM"], torch_dtype: "bfloat16", unsloth_version: "1", rope_interleaved: false },
      [],
    ],
    ["a key that nothing reads", { my_laboratory: "Z" }, [/my_laboratory is "Z", which no model of type llama reads/]],
    ["chunked attention of long contexts", { dual_chunk_attention_config: { chunk_size: 8 } }, [/dual_chunk_attention_config/]],
    ["a class of another family", { architectures: ["MistralForCausalLM"] }, [/MistralForCausalLM.*computed as llama/]],
    ["two scalings", { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "default" } }, [/rope_scaling is read/]],
    ["what Gemma's published configs say", { model_type: "gemma2", cache_implementation: "hybrid", hidden_act: "gelu_pytorch_tanh" }, []],
    [
      "where the texts of Phi-3's long contexts end",
      { model_type: "phi3", max_position_embeddings: 131072, rope_scaling: { type: "su", short_factor: [1, 1], long_factor: [2, 2] } },
      [/texts of at most 4,096 tokens are read, not of max_position_embeddings \(131,072\): beyond original_max_position_embeddings/],
    ],
    [
      "nothing where longrope's factors serve all positions",
      { original_max_position_embeddings: 128, rope_scaling: { rope_type: "longrope", short_factor: [1, 1], long_factor: [2, 2] } },
      [],
    ],
    [
      "one scaling said twice",
      { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "linear", factor: 2, rope_theta: 10000 } },
      [],
    ],
  ])("names %s", (_, keys, messages) => {
    const raw = config(keys);
    const found = configWarnings(raw, [], undefined, parseConfig(raw).maxPositions);
    expect(found).toHaveLength(messages.length);
    for (const [i, message] of messages.entries()) expect(found[i]).toMatch(message);
  });
});

describe("exportedConfig()", () => {
  it.each<[string, Json, Json]>([
    [
      "a plain base",
      { rope_parameters: { rope_type: "default", rope_theta: 5e5 } },
      { rope_theta: 5e5, rope_scaling: null, rope_parameters: { rope_type: "default", rope_theta: 5e5 } },
    ],
    [
      "llama3 with its length outside",
      { rope_theta: 5e5, rope_scaling: llama3, original_max_position_embeddings: 32 },
      {
        rope_theta: 5e5,
        rope_scaling: { ...llama3, original_max_position_embeddings: 32 },
        rope_parameters: { ...llama3, original_max_position_embeddings: 32, rope_theta: 5e5 },
      },
    ],
    [
      "the oldest spelling",
      { rope_scaling: { type: "linear", factor: 2 } },
      {
        rope_theta: 10000,
        rope_scaling: { rope_type: "linear", factor: 2 },
        rope_parameters: { rope_type: "linear", factor: 2, rope_theta: 10000 },
      },
    ],
  ])("spells %s for transformers 4 and 5", (_, keys, expected) => {
    const raw = config({ dtype: "bfloat16", ...keys });
    const saved = exportedConfig(raw);
    expect(saved).toMatchObject({ ...expected, dtype: "float32", torch_dtype: "float32" });
    expect(parseConfig(saved)).toEqual(parseConfig(raw));
    expect(configWarnings(saved)).toEqual([]);
    expect(exportedConfig(saved)).toEqual(saved);
  });

  it.each<[string, Json, Json]>([
    [
      "Gemma 3's for both kinds of layers",
      gemma("gemma3_text", { rope_theta: 1000, rope_scaling: { rope_type: "linear", factor: 8 }, sliding_window: 32 }),
      {
        rope_theta: 1000,
        rope_local_base_freq: 10000,
        rope_scaling: { rope_type: "linear", factor: 8 },
        rope_parameters: {
          full_attention: { rope_type: "linear", factor: 8, rope_theta: 1000 },
          sliding_attention: { rope_type: "default", rope_theta: 10000 },
        },
      },
    ],
    [
      "Phi-3's with the three keys that transformers 4 allows",
      config({
        model_type: "phi3",
        hidden_size: 32,
        original_max_position_embeddings: 64,
        rope_parameters: { rope_type: "longrope", short_factor: [1, 2], long_factor: [3, 4], partial_rotary_factor: 0.5 },
      }),
      {
        rope_theta: 10000,
        partial_rotary_factor: 0.5,
        original_max_position_embeddings: 64,
        rope_scaling: { type: "longrope", short_factor: [1, 2], long_factor: [3, 4] },
        rope_parameters: { rope_type: "longrope", short_factor: [1, 2], long_factor: [3, 4], rope_theta: 10000 },
      },
    ],
  ])("spells %s", (_, raw, expected) => {
    const saved = exportedConfig(raw);
    const { rope_theta, rope_scaling, rope_parameters } = saved;
    expect(saved).toMatchObject(expected);
    expect({ rope_theta, rope_scaling, rope_parameters }).toEqual({
      rope_theta: expected.rope_theta,
      rope_scaling: expected.rope_scaling,
      rope_parameters: expected.rope_parameters,
    });
    expect(parseConfig(saved)).toEqual(parseConfig(raw));
    const short = raw.model_type === "phi3" ? [expect.stringMatching(/texts of at most 64 tokens/)] : [];
    expect(configWarnings(saved, ["rope_local_base_freq"], undefined, parseConfig(saved).maxPositions)).toEqual(short);
    expect(exportedConfig(saved)).toEqual(saved);
  });
});
