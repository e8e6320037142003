import { architectureOf, architectures } from "../../../../../services/shared/ml/models/architectures/table.js";
import { type FreshModel, freshConfig, freshProblems } from "../../../../../services/shared/ml/models/fresh-config.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";

const asked: FreshModel = {
  ...{ architecture: "llama", hiddenSize: 64, intermediateSize: 100, layers: 6, heads: 4, kvHeads: 0, headDim: 0 },
  ...{ maxPositions: 0, ropeTheta: 0, initializerRange: 0 },
};
const families = Object.keys(architectures).filter((architecture) => architectureOf({ architecture }).fresh !== false);
const learned = ["gpt2", "gpt_bigcode", "opt"];
const parsed = (model: FreshModel) => parseConfig({ ...freshConfig(model), vocab_size: 32 });

describe("freshConfig()", () => {
  it.each(families)("gives each family the sizes that are asked for: %s", (architecture) => {
    const sizes = { hiddenSize: 64, intermediateSize: 100, layers: 6, heads: 4, kvHeads: 4, headDim: 16, tieWordEmbeddings: true };
    expect(parsed({ ...asked, architecture })).toMatchObject(sizes);
    expect(freshProblems({ ...asked, architecture })).toEqual([]);
    expect(parsed({ ...asked, architecture, tieWordEmbeddings: false })).toMatchObject({ ...sizes, tieWordEmbeddings: false });
  });

  it.each(families.filter((one) => one !== "t5"))("gives each decoder its positions and the spread of its weights: %s", (architecture) => {
    const model = { ...asked, architecture, maxPositions: 48, initializerRange: 0.01 };
    expect(parsed(model)).toMatchObject({ maxPositions: 48, initializerRange: 0.01 });
    expect(freshProblems(model)).toEqual([]);
  });

  it.each(families.filter((one) => ![...learned, "t5"].includes(one)))("gives each family that rotates its base: %s", (architecture) => {
    const model = { ...asked, architecture, ropeTheta: 5000 };
    expect(parsed(model).layerKinds.map(({ rotary }) => rotary?.theta)).toContain(5000);
    expect(freshProblems(model)).toEqual([]);
  });

  it("lets a GPT-BigCode's heads share one key, or none", () => {
    expect([1, 4].map((kvHeads) => parsed({ ...asked, architecture: "gpt_bigcode", kvHeads }).kvHeads)).toEqual([1, 4]);
  });

  it("writes no key that its family passes over", () => {
    expect(Object.keys(freshConfig({ ...asked, architecture: "gpt2" })).sort()).toEqual(
      [
        ...["architectures", "head_dim", "initializer_range", "model_type", "n_embd", "n_head", "n_inner", "n_layer", "n_positions"],
        ...["num_key_value_heads", "tie_word_embeddings", "torch_dtype"],
      ].sort(),
    );
  });
});

describe("freshProblems()", () => {
  it.each<[string, Partial<FreshModel>, keyof FreshModel, RegExp]>([
    ["gpt2", { ropeTheta: 5000 }, "ropeTheta", /^is 5000, but a gpt2 has no such setting; leave it out$/],
    ["gpt2", { kvHeads: 2 }, "kvHeads", /^is 2; supported: heads \(4\)$/],
    ["gpt2", { headDim: 8 }, "headDim", /^is 8; supported: hiddenSize by heads \(16\)$/],
    ["gpt_bigcode", { kvHeads: 2 }, "kvHeads", /^is 2, but a gpt_bigcode of this size has 4, whatever is asked; leave it out$/],
    ["gpt_bigcode", { ropeTheta: 5000 }, "ropeTheta", /no such setting/],
    ["opt", { ropeTheta: 5000 }, "ropeTheta", /no such setting/],
    ["stablelm", { headDim: 8 }, "headDim", /^is 8; supported: hiddenSize by heads \(16\)$/],
    ["gpt_neox", { headDim: 8 }, "headDim", /^is 8; supported: hiddenSize by heads \(16\)$/],
    ["gpt_neox", { kvHeads: 2 }, "kvHeads", /^is 2; supported: heads \(4\)$/],
    ["llama", { kvHeads: 3 }, "kvHeads", /^is 3; supported: a divisor of heads \(4\)$/],
    ["gemma3_text", { layers: 2, ropeTheta: 5000 }, "ropeTheta", /^is 5000, but a gemma3_text of this size has 10000/],
    ["mixtral", {}, "architecture", /^is mixtral, of which no model from scratch can be described; take another$/],
    ["qwen3_moe", {}, "architecture", /no model from scratch/],
  ])("names what a %s from scratch does not have: %j", (architecture, own, field, description) => {
    expect(freshProblems({ ...asked, ...own, architecture })).toEqual([{ field, description: expect.stringMatching(description) }]);
  });
});

describe("the class of a model from scratch", () => {
  /** Those of MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and of T5's mapping in transformers 5.24. */
  const classes: Readonly<Record<string, string>> = {
    arcee: "ArceeForCausalLM",
    cohere: "CohereForCausalLM",
    cohere2: "Cohere2ForCausalLM",
    cwm: "CwmForCausalLM",
    ernie4_5: "Ernie4_5ForCausalLM",
    exaone4: "Exaone4ForCausalLM",
    gemma: "GemmaForCausalLM",
    gemma2: "Gemma2ForCausalLM",
    gemma3_text: "Gemma3ForCausalLM",
    gpt2: "GPT2LMHeadModel",
    gpt_bigcode: "GPTBigCodeForCausalLM",
    gpt_neox: "GPTNeoXForCausalLM",
    granite: "GraniteForCausalLM",
    helium: "HeliumForCausalLM",
    hunyuan_v1_dense: "HunYuanDenseV1ForCausalLM",
    llama: "LlamaForCausalLM",
    ministral: "MinistralForCausalLM",
    mistral: "MistralForCausalLM",
    olmo2: "Olmo2ForCausalLM",
    olmo3: "Olmo3ForCausalLM",
    opt: "OPTForCausalLM",
    phi3: "Phi3ForCausalLM",
    qwen2: "Qwen2ForCausalLM",
    qwen3: "Qwen3ForCausalLM",
    seed_oss: "SeedOssForCausalLM",
    smollm3: "SmolLM3ForCausalLM",
    stablelm: "StableLmForCausalLM",
    starcoder2: "Starcoder2ForCausalLM",
    t5: "T5ForConditionalGeneration",
  };

  it("is the one that transformers has", () => {
    const written = families.map((architecture) => [architecture, (freshConfig({ ...asked, architecture }).architectures as string[])[0]]);
    expect(Object.fromEntries(written)).toEqual(classes);
  });
});
