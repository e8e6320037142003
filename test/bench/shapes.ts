import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel, type Model } from "../../services/shared/ml/models/model.js";
import { characterTokenizer } from "../../services/shared/ml/text/character-tokenizer.js";

const smollm2 = [49152, 576, 30, 9, 3, 1536] as const;

/** vocabulary, width, layers, heads, key/value heads, feed-forward width */
const sizes = {
  tiny: { student: [512, 128, 2, 4, 2, 384], teacher: [512, 256, 4, 8, 4, 768] },
  medium: { student: [4096, 256, 4, 8, 4, 704], teacher: [4096, 512, 8, 8, 8, 1408] },
  smollm2: { student: smollm2, teacher: smollm2 },
} as const;

export type Shape = keyof typeof sizes;

/** Batch, prompt tokens and new tokens that a shape is raced at, and how often. */
export interface Load {
  readonly batch: number;
  readonly prompt: number;
  readonly fresh: number;
  readonly repetitions: number;
}

export const loads: Readonly<Record<Shape, Load>> = {
  tiny: { batch: 32, prompt: 16, fresh: 64, repetitions: 15 },
  medium: { batch: 32, prompt: 16, fresh: 64, repetitions: 7 },
  smollm2: { batch: 8, prompt: 32, fresh: 64, repetitions: 3 },
};

/** A load as the peers' arguments. */
export const loadArguments = ({ batch, prompt, fresh }: Load): string[] =>
  Object.entries({ batch, prompt, new: fresh }).flatMap(([name, value]) => [`--${name}`, `${value}`]);

/** The shapes to race: RETORT_BENCH_SHAPES, or the two that take a minute. */
export const shapes = (process.env.RETORT_BENCH_SHAPES ?? "tiny,medium").split(",") as Shape[];
for (const shape of shapes)
  if (!(shape in sizes)) throw new Error(`RETORT_BENCH_SHAPES names "${shape}"; shapes: ${Object.keys(sizes).join(", ")}`);

/** A model of a shape with random weights. */
export function benchModel(shape: Shape, role: "student" | "teacher"): Model {
  const [vocab, width, layers, heads, kvHeads, feedForward] = sizes[shape][role];
  const raw = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    vocab_size: vocab,
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    intermediate_size: feedForward,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    initializer_range: 0.02,
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
  };
  return initModel(raw, characterTokenizer("abc"), 1n);
}

/** Writes the model where a peer can load it; gives the directory. */
export async function saveForPeers(model: Model): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "retort-bench-"));
  await saveModel(directory, model);
  return directory;
}

/** `count` rows of `length` token ids, none of them special. */
export const tokenRows = (count: number, length: number): Int32Array[] =>
  Array.from({ length: count }, (_, row) => Int32Array.from({ length }, (_, i) => 8 + ((row * 31 + i * 17) % 500)));
