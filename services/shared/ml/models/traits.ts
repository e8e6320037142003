import { RetortError } from "../../base/errors.js";
import { type ArchitectureName, architectures } from "./architectures/table.js";
import type { Json } from "./config/fields.js";
import type { ModelConfig } from "./config/model-config.js";
import { parseConfig } from "./parse-config.js";

/** What the configs of a family may say, found by reading some: families differ in this, not in what is done with a model. */
export interface FamilyTraits {
  readonly modelType: ArchitectureName;
  /** Models that people know. */
  readonly models: string;
  /** Some or all layers may see a window alone. */
  readonly windows: boolean;
  /** How places in a text enter: by rotations in some layers or all, or otherwise. */
  readonly rotary: boolean;
  /** Scalings of the rotary embedding, by Hugging Face's `rope_type`. */
  readonly scalings: readonly string[];
  /** Where biases may be. */
  readonly biases: readonly ("queries, keys, values" | "output" | "feed-forward")[];
  /** The head is the embedding, where a config says nothing of it. */
  readonly tiedByDefault: boolean;
}

const sizes = {
  vocab_size: 64,
  hidden_size: 128,
  intermediate_size: 96,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 4,
};

const llama3 = { factor: 2, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 };

/** The traits of a family. */
export function traitsOf(modelType: ArchitectureName): FamilyTraits {
  const { keys, models } = architectures[modelType];
  const own = Object.fromEntries(Object.entries(sizes).filter(([key]) => !keys.unread?.includes(key)));
  const read = (more: Json): ModelConfig | undefined => readable({ ...own, model_type: modelType, ...more });
  const plain = read({});
  const rotary = plain?.layerKinds.find((kind) => kind.rotary)?.rotary;
  const factors = new Array<number>((rotary?.dims ?? 0) / 2).fill(2);
  const scalings: Readonly<Record<string, Json>> = {
    linear: { factor: 2 },
    dynamic: { factor: 2 },
    llama3,
    yarn: { factor: 2, original_max_position_embeddings: 32 },
    longrope: { factor: 2, short_factor: factors, long_factor: factors, original_max_position_embeddings: 32 },
  };
  const named = ["attention_bias", "mlp_bias", ...(keys.read ?? []).filter((key) => /bias/.test(key))];
  const biased = [plain, ...named.map((key) => read({ [key]: true }))];
  const has = (key: "mlpBias" | "outputBias" | "qkvBias") => biased.some((config) => config?.[key]);
  const slides = read({ use_sliding_window: true, sliding_window: 4, max_window_layers: 0 });
  return {
    modelType,
    models,
    windows: slides?.layerKinds.some(({ window }) => window !== undefined) ?? false,
    rotary: rotary !== undefined,
    scalings: rotary ? Object.keys(scalings).filter((rope_type) => read({ rope_scaling: { rope_type, ...scalings[rope_type] } })) : [],
    biases: [
      ...(has("qkvBias") ? (["queries, keys, values"] as const) : []),
      ...(has("outputBias") ? (["output"] as const) : []),
      ...(has("mlpBias") ? (["feed-forward"] as const) : []),
    ],
    tiedByDefault: plain?.tieWordEmbeddings ?? false,
  };
}

/** The model of a config.json; undefined where it is refused. */
function readable(raw: Json): ModelConfig | undefined {
  try {
    return parseConfig(raw);
  } catch (error) {
    if (error instanceof RetortError && error.code === "InvalidArgument") return undefined;
    throw error;
  }
}
