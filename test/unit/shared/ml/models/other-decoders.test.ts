import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";
import { config, type Json, sizes } from "../../../../support/models/written-configs.js";

const neox = (keys: Json): Json => config({ model_type: "gpt_neox", ...keys });
const { intermediate_size: _, ...fewer } = sizes;
const gpt2 = (keys: Json): Json => ({ model_type: "gpt2", ...fewer, ...keys });
const moe = (keys: Json): Json => config({ model_type: "qwen3_moe", num_key_value_heads: 4, ...keys });
const mixtral = (keys: Json): Json => config({ model_type: "mixtral", num_key_value_heads: 4, ...keys });

describe("parseConfig(), of families with layer norms, learned positions or experts", () => {
  it.each<[string, Json, RegExp]>([
    ["fewer key heads where each head has its own", neox({ num_key_value_heads: 2 }), /num_key_value_heads is 2; supported: num_attention/],
    ["heads of another size", neox({ head_dim: 8 }), /head_dim is 8; supported: hidden_size by num_attention_heads \(4\)/],
    ["the rotary base by another family's name", neox({ rotary_pct: 0.5, rope_theta: 500 }), /rope_theta is 500; .*reads rotary_emb_base/],
    ["a quarter of small heads", neox({}), /partial_rotary_factor rotates 1 of 4 channels/],
    ["two names of one setting", gpt2({ n_embd: 32 }), /hidden_size and n_embd are two names of one setting/],
    ["keys that would be passed over", gpt2({ rope_theta: 500, hidden_act: "relu" }), /rope_theta is 500, hidden_act is "relu"/],
    ["a width that no key of its own says", gpt2({ intermediate_size: 96 }), /intermediate_size is 96: a model of type gpt2/],
    ["a rotation of learned positions", gpt2({ position_embedding_type: "rope" }), /position_embedding_type is "rope"/],
    ["norms by the root mean square", config({ model_type: "starcoder2", norm_type: "rmsnorm" }), /norm_type is "rmsnorm"/],
    ["the same by another word", neox({ normalization: "rmsnorm" }), /normalization is "rmsnorm"/],
    ["an epsilon of another norm", config({ model_type: "cohere", rms_norm_eps: 1 }), /rms_norm_eps is 1: a model of type cohere/],
    ["biases that no class reads", config({ model_type: "mistral", attention_bias: true }), /attention_bias is true: .*mistral/],
    ["an odd head that is rotated", config({ hidden_size: 12 }), /a head has 3 channels, which are rotated in pairs; .*head_dim/],
    ["windows of learned positions", gpt2({ sliding_window: 32 }), /sliding_window is 32: a model of type gpt2/],
    ["cross attention", gpt2({ add_cross_attention: true }), /add_cross_attention is true/],
    ["another activation of GPT-2", gpt2({ activation_function: "tanh" }), /activation_function is "tanh"; supported: gelu, gelu_fast/],
    ["norms behind each part", gpt2({ model_type: "opt", do_layer_norm_before: false }), /do_layer_norm_before is false; supported: true/],
    [
      "a narrower embedding",
      gpt2({ model_type: "opt", word_embed_proj_dim: 8 }),
      /word_embed_proj_dim is 8; supported: hidden_size \(16\)/,
    ],
    ["another feed-forward part", config({ model_type: "starcoder2", num_key_value_heads: 2, mlp_type: "gated" }), /mlp_type is "gated"/],
    [
      "more experts for a token than there are",
      mixtral({ num_local_experts: 1 }),
      /num_experts_per_tok is 2; supported: at most num_local/,
    ],
    ["two numbers of experts", moe({ num_experts: 4, num_local_experts: 8 }), /num_experts and num_local_experts are two names/],
    ["shared experts", moe({ shared_expert_intermediate_size: 8 }), /shared_expert_intermediate_size is 8/],
  ])("refuses %s", (_, raw, message) => {
    expect(() => parseConfig(raw, {}, "DIR/config.json")).toThrow(message);
    expect(() => parseConfig(raw, {}, "DIR/config.json")).toThrow(/^DIR\/config\.json: /);
  });

  it("takes heads of odd sizes where nothing is rotated", () => {
    for (const model_type of ["gpt2", "gpt_bigcode", "opt"]) expect(parseConfig(gpt2({ model_type, hidden_size: 36 })).headDim).toBe(9);
  });

  it("knows which layers have experts", () => {
    const experts = (keys: Json) => parseConfig(moe(keys)).experts;
    expect(experts({})).toEqual({ count: 128, perToken: 8, hiddenSize: 768, normalised: false, inLayer: [true, true, true] });
    expect(experts({ decoder_sparse_step: 2 })?.inLayer).toEqual([false, true, false]);
    expect(experts({ mlp_only_layers: [2] })?.inLayer).toEqual([true, true, false]);
    expect(experts({ num_experts: 0 })).toBeUndefined();
  });

  it("takes the defaults of each family for what a config leaves out", () => {
    const stablelm = config({ model_type: "stablelm", hidden_size: 256, num_attention_heads: 32 });
    const opt = { ...gpt2({ model_type: "opt" }), max_position_embeddings: 30 };
    const found = [neox({ hidden_size: 32 }), gpt2({}), stablelm, opt].map((raw) => parseConfig(raw));
    expect(
      found.map(({ layerKinds, activation, learnedPositions, intermediateSize }) => [
        ...[layerKinds[0]?.rotary?.dims, activation, learnedPositions, intermediateSize],
      ]),
    ).toEqual([
      [2, "gelu", undefined, 24],
      [undefined, "geluTanh", 1024, 64],
      [2, "silu", undefined, 24],
      [undefined, "relu", 32, 3072],
    ]);
    // multi_query alone says how many keys there are.
    expect(parseConfig(gpt2({ model_type: "gpt_bigcode", num_key_value_heads: 4 })).kvHeads).toBe(1);
  });
});
