import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import { openRegular } from "../../../base/regular-files.js";
import { isPointer, pointerError } from "../safetensors/pointer.js";
import { adapterConfigName } from "./peft-config.js";

/** The names in a directory; none if it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).sort();
}

/** Whether a file is one of those that a PEFT adapter consists of. */
export const isAdapterFile = (name: string): boolean => name === adapterConfigName || /^adapter_model\.(safetensors|bin)$/.test(name);

/** Whether a directory that holds these names is a PEFT adapter's: transformers puts it on its base model. */
export const isAdapter = (names: readonly string[]): boolean => names.some(isAdapterFile);

/**
 * Refuses an adapter's directory where a model by itself is needed, and one that holds a model beside the adapter.
 *
 * @throws InvalidArgument with the way out
 */
export function refuseAdapter(directory: string, names: readonly string[]): void {
  const files = names.filter(isAdapterFile).join(", ");
  if (!files) return;
  throw new RetortError(
    "InvalidArgument",
    names.includes("config.json")
      ? `${directory} holds a model (config.json) and a PEFT adapter (${files}), and programs differ in which they read; move config.json, or the adapter's files, out of the directory`
      : `${directory} is a PEFT adapter (${files}), and a model by itself is needed here; merge it: retort export ${directory} --merged --out DIRECTORY, or peft's merge_and_unload().save_pretrained(DIRECTORY)`,
  );
}

/** Why a directory has no config.json or no weights, by what it has instead. */
export async function missingFile(directory: string, file: string): Promise<RetortError> {
  const names = await namesIn(directory);
  refuseAdapter(directory, names);
  const what =
    file === "model.safetensors"
      ? `${directory} has no model.safetensors (nor model.safetensors.index.json)`
      : `${join(directory, file)} cannot be read: it is not there`;
  return new RetortError("NotFound", `${what}; ${insteadOf(names, file)}`);
}

const others: readonly (readonly [RegExp, string])[] = [
  [/\.gguf$/, "is a GGUF file: make a model directory of it with `retort import FILE DIR`"],
  [
    /^pytorch_model.*\.bin/,
    "holds pickled weights: load the model with transformers and save_pretrained it again, which writes safetensors",
  ],
  [/^consolidated.*\.(pth|safetensors)$/, "is in the format of the model's makers: take the Hugging Face form of it, or convert it"],
  [/^(tf_model\.h5|flax_model\.msgpack)$/, "holds the weights for another framework: load them with transformers and save_pretrained"],
  [/\.(pth|pt|ckpt)$/, "is a PyTorch checkpoint: save the model with transformers' save_pretrained"],
  [/\.distcp$|^global_step/, "is a checkpoint in parts of several processes: merge it into safetensors first"],
];

function insteadOf(names: readonly string[], file: string): string {
  for (const [pattern, message] of others) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) return `${found} ${message}`;
  }
  if (names.length === 0) return "the directory is empty or does not exist; name a Hugging Face model directory";
  const shown = `it holds ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;
  const way = file === "config.json" ? "a Hugging Face model directory is expected" : "save the model with transformers' save_pretrained";
  return `${shown}; ${way}`;
}

const foreign: readonly (readonly [RegExp, string])[] = [
  [
    /\.(qweight|qzeros|g_idx|scales|weight_scale(_inv)?|weight_packed|weight_shape|input_scale|SCB|absmax|quant_map|quant_state\..*|nested_absmax)$/,
    "belongs to quantised weights (GPTQ, AWQ, FP8, bitsandbytes): dequantise first, or take the model that was quantised",
  ],
  [/lora_[AB]|\.base_layer\.|modules_to_save/, "belongs to a PEFT adapter: merge it (merge_and_unload().save_pretrained(DIRECTORY))"],
  [/^_orig_mod\./, "was saved from a compiled model: save model._orig_mod with save_pretrained, or remove _orig_mod. from the names"],
  [/^module\./, "was saved from a parallel wrapper: save model.module with save_pretrained, or remove module. from the names"],
  [/^v_head\.|^(value|critic)_head\./, "is a value head: save the language model alone"],
  [/\.(experts|gate)\.\d*|block_sparse_moe/, "belongs to a model of experts, which config.json does not speak of"],
  [
    /^(vision|visual|audio)|multi_modal_projector|vision_tower|language_model\./,
    "belongs to a model of more than text: save its language model alone",
  ],
  [
    /^transformer\.|^gpt_neox\.|qkv_proj|query_key_value|c_attn|W_pack/,
    "is named or fused as in another family than config.json's model_type",
  ],
];

/** What a tensor of no known place is, and the way out; undefined where its name tells nothing. */
export function foreignTensor(name: string): string | undefined {
  return foreign.find(([pattern]) => pattern.test(name))?.[1];
}

/** The small files of a model directory, which a clone without git-lfs leaves as pointers too. */
const small = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/** Refuses a directory whose tokenizer or settings are git-lfs pointers. @throws InvalidArgument with the way out */
export async function refusePointers(directory: string): Promise<void> {
  for (const name of small) {
    // What cannot be opened is told of where it is read.
    const file = await openRegular(join(directory, name)).catch(() => undefined);
    if (!file) continue;
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(64), 0, 64, 0);
      if (isPointer(buffer.subarray(0, bytesRead))) throw pointerError(join(directory, name));
    } finally {
      await file.close();
    }
  }
}
