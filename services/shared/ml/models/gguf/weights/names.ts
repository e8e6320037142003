import { RetortError } from "../../../../base/errors.js";
import { readTypes } from "../blocks/types.js";
import type { GgufFamily, Sizes } from "../config/family.js";
import type { GgufTensor } from "../header/tensors.js";
import type { Change } from "./read-rows.js";

/** A tensor of a GGUF file, and what becomes of it. */
export interface NamedTensor {
  /** Its name in a Hugging Face directory. */
  readonly name: string;
  readonly tensor: GgufTensor;
  readonly change: Change;
}

const outside: Readonly<Record<string, string>> = {
  "output.weight": "lm_head.weight",
  "output_norm.weight": "model.norm.weight",
  "token_embd.weight": "model.embed_tokens.weight",
};

/** Rotary factors: they become part of config.json. */
export const ropeFactorsName = "rope_freqs.weight";

/** Tensors of rotary frequencies, which follow from the config. */
const derived = new RegExp(`^${ropeFactorsName}$|^blk\\.\\d+\\.(attn_rot_embd|rope_freqs)(\\.weight)?$`);

/**
 * The tensors of a file under Hugging Face's names, in order of these, with what the conversion did to them.
 *
 * @throws InvalidArgument naming a tensor that no model of the family has, or of a type that is not read
 */
export function nameTensors(tensors: Iterable<GgufTensor>, family: GgufFamily, sizes: Sizes, path: string): NamedTensor[] {
  const named = [...tensors].filter(({ name }) => !derived.test(name)).map((tensor) => nameTensor(tensor, family, sizes, path));
  return named.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function nameTensor(tensor: GgufTensor, family: GgufFamily, sizes: Sizes, path: string): NamedTensor {
  if (!tensor.type.block)
    throw new RetortError(
      "InvalidArgument",
      `${path}: tensor ${tensor.name} is ${tensor.type.name}; supported: ${readTypes.join(", ")}; take a file of the model in one of these`,
    );
  const name = nameOf(tensor.name, family, sizes);
  if (name !== undefined) return { name, tensor, change: changeOf(tensor, family, sizes, path) };
  throw new RetortError(
    "InvalidArgument",
    `${path}: tensor ${tensor.name} belongs to no ${family.modelType} model of ${sizes.layers} layers, and leaving it out would change what is computed; take the model's Hugging Face directory`,
  );
}

function nameOf(name: string, { parts }: GgufFamily, { layers }: Sizes): string | undefined {
  if (Object.hasOwn(outside, name)) return outside[name];
  const [, layer = "", part = "", kind = ""] = /^blk\.(\d+)\.([a-z_]+)\.(weight|bias)$/.exec(name) ?? [];
  if (!Object.hasOwn(parts, part) || Number(layer) >= layers || String(Number(layer)) !== layer) return undefined;
  return `model.layers.${layer}.${parts[part]}.${kind}`;
}

function changeOf({ name, shape }: GgufTensor, family: GgufFamily, { headDim, heads, kvHeads }: Sizes, path: string): Change {
  if (family.normsPlusOne && name.endsWith("norm.weight")) return { added: 1 };
  const projection = /\.attn_([qk])\.(weight|bias)$/.exec(name)?.[1];
  if (!family.interleaved || projection === undefined) return {};
  const rows = headDim * (projection === "q" ? heads : kvHeads);
  if (shape[0] === rows && headDim % 2 === 0) return { interleavedRows: headDim };
  throw new RetortError("DataLoss", `${path}: tensor ${name} has ${shape[0]} rows, and its heads call for ${rows}`);
}
