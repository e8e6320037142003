import { parseAdapterConfig } from "../../../../../../services/shared/ml/models/checkpoint/peft-config.js";

// As PEFT 0.21 writes it: every key, most of them at nothing.
const written = {
  ...{ alora_invocation_tokens: null, alpha_pattern: {}, arrow_config: null, auto_mapping: null, bias: "none", corda_config: null },
  ...{
    base_model_name_or_path: "/models/base",
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
  },
  ...{ inference_mode: true, init_lora_weights: true, kasa_config: null, layer_replication: null, layers_pattern: null },
  ...{ layers_to_transform: null, loftq_config: {}, lora_alpha: 8, lora_bias: false, lora_dropout: 0.0, lora_ga_config: null },
  ...{ megatron_config: null, megatron_core: "megatron.core", modules_to_save: null, monteclora_config: null, peft_type: "LORA" },
  ...{ peft_version: "0.21.2", qalora_group_size: 16, r: 4, rank_pattern: {}, revision: null, target_modules: ["q_proj", "v_proj"] },
  ...{ target_parameters: null, task_type: "CAUSAL_LM", trainable_token_indices: null, use_bdlora: null, use_dora: false },
  ...{ use_qalora: false, use_rslora: false, velora_config: null },
};

const parse = (changes: Record<string, unknown>) => parseAdapterConfig({ ...written, ...changes }, "adapter_config.json");

describe("parseAdapterConfig()", () => {
  it("reads what PEFT writes", () => {
    expect(parse({})).toEqual({ r: 4, alpha: 8, useRslora: false, targets: ["q_proj", "v_proj"], base: "/models/base", warnings: [] });
    expect(parse({ use_rslora: true, lora_alpha: 5.5 })).toMatchObject({ useRslora: true, alpha: 5.5 });
    expect(parse({ target_modules: "all-linear" }).targets).toEqual(["all-linear"]);
    expect(parse({ target_modules: ".*\\.q_proj" }).targets).toEqual(/^(?:.*\.q_proj)$/);
    expect(parse({ init_lora_weights: "gaussian", task_type: null, brand_new_key: null }).r).toBe(4);
    expect(parse({ task_type: "SEQ_2_SEQ_LM" }).r).toBe(4);
  });

  it("warns of dropout, which changes how it was trained and nothing that it computes", () => {
    expect(parse({ lora_dropout: 0.1 }).warnings).toEqual([expect.stringMatching(/lora_dropout is 0.1.*without dropout/)]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["another kind of adapter", { peft_type: "IA3" }, /peft_type is IA3; supported: LORA.*merge it/],
    ["one without a kind", { peft_type: null }, /peft_type is null/],
    ["another task", { task_type: "SEQ_CLS" }, /task_type is "SEQ_CLS"; supported: CAUSAL_LM, SEQ_2_SEQ_LM/],
    ["DoRA", { use_dora: true }, /use_dora is true: DoRA; merge it with PEFT/],
    ["biases", { bias: "all" }, /bias is all; supported: none/],
    ["biases on B", { lora_bias: true }, /lora_bias is true/],
    ["whole modules", { modules_to_save: ["lm_head"] }, /modules_to_save is \["lm_head"\]: modules that are trained as a whole/],
    ["ranks of single layers", { rank_pattern: { q_proj: 8 } }, /rank_pattern is/],
    ["alphas of single layers", { alpha_pattern: { q_proj: 8 } }, /alpha_pattern is/],
    ["layers by number", { layers_to_transform: [0, 1] }, /layers_to_transform is \[0,1\].*target_modules/],
    ["repeated layers", { layer_replication: [[0, 2]] }, /layer_replication is/],
    ["rows of the embedding", { trainable_token_indices: [3] }, /trainable_token_indices is/],
    ["a base that was changed at the start", { init_lora_weights: "pissa" }, /init_lora_weights is "pissa".*base model's weights/],
    ["a key that is not known and says something", { use_something: true }, /use_something is true: a key that Retort does not know/],
    ["no rank", { r: 0 }, /r is 0; supported: a positive whole number/],
    ["no alpha", { lora_alpha: 0 }, /lora_alpha is 0/],
    ["no targets", { target_modules: [] }, /target_modules is \[\]/],
    [
      "a pattern of Python alone",
      { target_modules: "(?P<x>q_proj)(?<=a" },
      /target_modules is .*a pattern that JavaScript reads as Python does/,
    ],
    ["no base", { base_model_name_or_path: null }, /base_model_name_or_path is null; supported: the directory of the base model/],
    ["dropout beyond 1", { lora_dropout: 2 }, /lora_dropout is 2/],
  ])("refuses %s by its key, and says the way out", (_, changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });
});
