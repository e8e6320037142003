import { mkdtempSync, rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadModel, saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel, type Model } from "../../services/shared/ml/models/model.js";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import type { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";
import { wordLevelTokenizer } from "../../services/shared/ml/text/word-level.js";

const smollm2 = [49152, 576, 30, 9, 3, 1536] as const;
const half = [151936, 896, 24, 14, 2, 4864] as const;
const oneAndHalf = [151936, 1536, 28, 12, 2, 8960] as const;

/** vocabulary, width, layers, heads, key/value heads, feed-forward width */
const sizes = {
  tiny: { student: [512, 128, 2, 4, 2, 384], teacher: [512, 256, 4, 8, 4, 768] },
  medium: { student: [4096, 256, 4, 8, 4, 704], teacher: [4096, 512, 8, 8, 8, 1408] },
  smollm2: { student: smollm2, teacher: smollm2 },
  // The sizes of Qwen2.5, for a GPU.
  "0.5b": { student: half, teacher: half },
  "1.5b": { student: oneAndHalf, teacher: oneAndHalf },
} as const;

export type Shape = keyof typeof sizes;
export type Role = "student" | "teacher";

/** Batch, prompt tokens and new tokens that a shape is raced at, and how often. */
export interface Load {
  readonly batch: number;
  readonly prompt: number;
  readonly fresh: number;
  readonly repetitions: number;
}

export const loads: Readonly<Record<Shape, Load>> = {
  tiny: { batch: 32, prompt: 16, fresh: 64, repetitions: 45 },
  medium: { batch: 32, prompt: 16, fresh: 64, repetitions: 12 },
  smollm2: { batch: 8, prompt: 32, fresh: 64, repetitions: 3 },
  "0.5b": { batch: 64, prompt: 96, fresh: 128, repetitions: 3 },
  "1.5b": { batch: 32, prompt: 96, fresh: 128, repetitions: 3 },
};

/** Whether completions all have the same length, or end where the model ends them: at each token with a chance of about 1/32. */
export type Lengths = "fixed" | "natural";

/** The load with completions that end by themselves: more of them, with room for the long ones. */
export const naturalLoad = (shape: Shape): Load => ({ ...loads[shape], batch: 32, fresh: 128 });

/** A load as the peers' arguments. */
export const loadArguments = ({ batch, prompt, fresh }: Load): string[] =>
  Object.entries({ batch, prompt, new: fresh }).flatMap(([name, value]) => [`--${name}`, `${value}`]);

/** Names that a variable lists, of those that are known. @param usual where the variable isn't set */
export function listed<T extends string>(variable: string, known: readonly T[], usual: readonly T[]): readonly T[] {
  const names = process.env[variable]?.split(",") ?? usual;
  for (const name of names)
    if (!(known as readonly string[]).includes(name)) throw new Error(`${variable} names "${name}"; known: ${known.join(", ")}`);
  return names as readonly T[];
}

/** The shapes to race: RETORT_BENCH_SHAPES, or the two that take a minute. */
export const shapes = listed("RETORT_BENCH_SHAPES", Object.keys(sizes) as Shape[], ["tiny", "medium"]);

const allLengths: readonly Lengths[] = ["fixed", "natural"];

/** The lengths to race: RETORT_BENCH_LENGTHS, or both. */
export const lengthsToRace = listed("RETORT_BENCH_LENGTHS", allLengths, allLengths);

/** A model of a shape with random weights; every id is a word. Its end is one token of 32, or none. */
export function benchModel(shape: Shape, role: Role, lengths: Lengths = "fixed"): Model {
  const [vocab, width, layers, heads, kvHeads, feedForward] = sizes[shape][role];
  const words = Array.from({ length: vocab - 3 }, (_, i) => `w${i + 3}`);
  const ends = Array.from({ length: vocab / 32 }, (_, i) => 2 + 32 * i);
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
    ...(lengths === "natural" ? { eos_token_id: ends } : {}),
    pad_token_id: 0,
  };
  return flattened(initModel(raw, wordLevelTokenizer(words, "w\\d+"), 1n));
}

/** With a smaller embedding, which is the head too: else a random model writes its last token again and again. */
function flattened(model: Model): Model {
  const name = "model.embed_tokens.weight";
  const embedding = model.params.get(name)!;
  for (let i = 0; i < embedding.data.length; i++) (embedding.data as Float32Array)[i]! *= 0.1;
  return model;
}

/** A model on disk, where both sides load it. */
export interface SavedModel {
  readonly directory: string;
  readonly parameters: number;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly tokenizer: Tokenizer;
}

/** A directory for this process, deleted when it ends. */
export const scratch = mkdtempSync(join(tmpdir(), "retort-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** Writes the model where a peer can load it; gives the directory. */
export async function saveForPeers(model: Model): Promise<string> {
  const directory = await mkdtemp(join(scratch, "model-"));
  await saveModel(directory, model);
  return directory;
}

/** The real model that stands for the shape smollm2: RETORT_BENCH_MODEL names its directory. */
const real = process.env.RETORT_BENCH_MODEL;

/** What a shape is called in what is printed. */
export const nameOf = (shape: Shape): string => (shape === "smollm2" && real ? "smollm2 (real weights)" : shape);

/** A shape's model on disk: random weights, or those of RETORT_BENCH_MODEL. */
export async function savedModel(shape: Shape, role: Role, lengths: Lengths = "fixed"): Promise<SavedModel> {
  const isReal = shape === "smollm2" && real;
  const model = isReal ? await loadModel(real) : benchModel(shape, role, lengths);
  const { config, tokenizer } = model;
  const directory = isReal ? await realDirectory(real, lengths) : await saveForPeers(model);
  return { directory, tokenizer, parameters: parameterCount(config), vocabSize: config.vocabSize, hiddenSize: config.hiddenSize };
}

/** The real directory, or one with its files whose config knows of no end. */
const realDirectory = async (directory: string, lengths: Lengths): Promise<string> =>
  lengths === "natural" ? resolve(directory) : copyLacking(directory, "config.json", "eos_token_id", ["generation_config.json"]);

/**
 * A copy of a model whose tokenizer names no end either, so that each row gets as many tokens as it may. Peers are told so, and their
 * trainers need an end.
 */
export const endless = ({ directory }: SavedModel): Promise<string> => copyLacking(directory, "tokenizer_config.json", "eos_token");

/** A directory with the files of another one, but for a key of a JSON file, and files that it doesn't have at all. */
async function copyLacking(directory: string, file: string, key: string, without: readonly string[] = []): Promise<string> {
  const copy = await mkdtemp(join(scratch, "model-"));
  for (const name of await readdir(directory))
    if (name !== file && !without.includes(name)) await symlink(resolve(directory, name), join(copy, name));
  const { [key]: _, ...rest } = JSON.parse(await readFile(join(directory, file), "utf8")) as Record<string, unknown>;
  await writeFile(join(copy, file), JSON.stringify(rest));
  return copy;
}

/** `count` prompts of exactly `length` tokens, as text. */
export function promptTexts(tokenizer: Tokenizer, count: number, length: number): string[] {
  const isWord = (text: string) => /^(w\d+| [a-z]{3,})$/.test(text) && tokenizer.encode(text).length === 1;
  const words: string[] = [];
  for (let id = 8; id < tokenizer.size && words.length < 500; id++) {
    const text = tokenizer.decode(Int32Array.of(id));
    if (isWord(text)) words.push(text);
  }
  return tokenRows(count, length).map((row) => Array.from(row, (id) => words[id % words.length]).join(""));
}

/** `count` rows of `length` token ids, none of them special. */
export const tokenRows = (count: number, length: number): Int32Array[] =>
  Array.from({ length: count }, (_, row) => Int32Array.from({ length }, (_, i) => 8 + ((row * 31 + i * 17) % 500)));
