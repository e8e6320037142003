import { nameTensors } from "../../../../../../services/shared/ml/models/checkpoint/names.js";
import type { StoredTensor } from "../../../../../../services/shared/ml/models/checkpoint/open.js";
import { paramSpecs } from "../../../../../../services/shared/ml/models/model-params.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";

/** Tensors of these names and shapes, one behind the other in a file. */
function stored(tensors: readonly (readonly [name: string, shape: readonly number[]])[]): Map<string, StoredTensor> {
  let at = 0;
  return new Map(
    tensors.map(([name, shape]) => {
      const begin = at;
      at += 4 * shape.reduce((product, size) => product * size, 1);
      return [name, { stored: name, path: "model.safetensors", start: 0, entry: { dtype: "F32", shape, data_offsets: [begin, at] } }];
    }),
  );
}

const namesOf = (key: keyof typeof smallConfigs, names: (name: string) => string, more: readonly string[] = []): string[] => {
  const { config } = smallModel(smallConfigs[key]);
  const own = paramSpecs(config).map(({ name, dims }) => [names(name), dims] as const);
  const tensors = stored([...own, ...more.map((name) => [name, [1, 1, 4, 4]] as const)]);
  return [...nameTensors({ directory: "DIR", tensors, warnings: [] }, config).keys()];
};

const wanted = (key: keyof typeof smallConfigs): string[] => paramSpecs(smallModel(smallConfigs[key]).config).map(({ name }) => name);

describe("nameTensors()", () => {
  it.each<[string, keyof typeof smallConfigs, (name: string) => string, readonly string[]]>([
    ["without a prefix, and with the masks of first checkpoints", "gpt2", (name) => name.replace("transformer.", ""), ["h.0.attn.bias"]],
    ["with masks and frequencies", "gpt_neox", (name) => name, ["attention.masked_bias", "attention.rotary_emb.inv_freq"]],
    ["with a head of another name", "gpt_neox", (name) => name.replace("embed_out", "lm_head"), []],
  ])("knows the tensors of a checkpoint %s", (_, key, names, more) => {
    const all = key === "gpt_neox" ? more.map((name) => `gpt_neox.layers.1.${name}`) : more;
    expect(namesOf(key, names, all)).toEqual(wanted(key));
  });

  it.each<[keyof typeof smallConfigs, string, string]>([
    ["qwen3_moe", "model.layers.0.mlp", "model.layers.0.mlp"],
    ["mixtral", "model.layers.0.mlp", "model.layers.0.block_sparse_moe"],
  ])("finds the weights of each expert in tensors of all of a layer's: %s", (key, stem, own) => {
    const { config } = smallModel(smallConfigs[key]);
    const { count = 0, hiddenSize: f = 0 } = config.experts ?? {};
    const d = config.hiddenSize;
    const tensors = stored([
      [`${stem}.experts.gate_up_proj`, [count, 2 * f, d]],
      [`${stem}.experts.down_proj`, [count, d, f]],
    ]);
    const found = nameTensors({ directory: "DIR", tensors, warnings: [] }, config);
    const expected = paramSpecs(config).filter(({ name }) => name.startsWith(`${own}.experts.`));
    expect(new Map([...found].map(([name, { entry }]) => [name, entry.shape]))).toEqual(
      new Map(expected.map(({ name, dims }) => [name, dims])),
    );
    const offsets = [...found.values()].map(({ entry }) => entry.data_offsets);
    // In files gate and up lie side by side, expert by expert, and all down projections behind them.
    expect(offsets[0]).toEqual([0, 4 * f * d]);
    expect(offsets.every(([begin], i) => begin === (i === 0 ? 0 : offsets[i - 1]?.[1]))).toBe(true);
    expect([...found.keys()].slice(0, 2).map((name) => name.split(".").at(-2))).toEqual(
      key === "mixtral" ? ["w1", "w3"] : ["gate_proj", "up_proj"],
    );
  });

  it("leaves tensors of another number of experts for the checks to refuse", () => {
    const { config } = smallModel(smallConfigs.mixtral);
    const tensors = stored([["model.layers.0.mlp.experts.down_proj", [9, 32, 48]]]);
    expect(() => nameTensors({ directory: "DIR", tensors, warnings: [] }, config)).toThrow(
      /experts\.down_proj belongs to a model of experts/,
    );
  });
});
