import { architectureOf, architectures, isArchitecture } from "./architectures/table.js";
import { unsupported } from "./config/families.js";
import { Fields, isObject, type Json } from "./config/fields.js";
import { checkKeys } from "./config/keys.js";
import type { ModelConfig } from "./config/model-config.js";

/**
 * Reads a Hugging Face config.json, as transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`) write it, as
 * transformers 5 does: the same defaults for keys that are left out. Every key is read, known not to matter, or refused.
 * End tokens of generation_config.json are added to those of the config.
 *
 * @throws InvalidArgument naming the file, the field, its value and what is supported
 */
export function parseConfig(raw: Json, generation: Json = {}, file = "config.json"): ModelConfig {
  const type = raw.model_type;
  if (!isArchitecture(type)) throw unsupported(raw, file, Object.keys(architectures));
  const { keys, parse, aliases } = architectureOf({ architecture: type });
  const read = new Fields(raw, file, "", aliases);
  refuseTwins(read, aliases ?? {});
  refuseForeign(read);
  checkKeys(read, type, keys);
  const config = parse(read);
  const generated = new Fields(generation, file.replace(/config\.json$/, "generation_config.json"));
  const eosIds = [...new Set([...generated.ids("eos_token_id"), ...config.eosIds])];
  return { ...config, eosIds, padId: config.padId ?? generated.ids("pad_token_id")[0] };
}

/** Refuses a setting that stands under two names and says two things. */
function refuseTwins(read: Fields, aliases: Readonly<Record<string, string>>): void {
  for (const [name, alias] of Object.entries(aliases))
    if (name in read.raw && alias in read.raw && read.raw[name] !== read.raw[alias])
      throw read.error(`${name} and ${alias} are two names of one setting, and they differ; remove one`);
}

/** Refuses what no language model's own config.json says, whatever its family. */
function refuseForeign(read: Fields): void {
  for (const key of ["quantization_config", "compression_config", "quantization"])
    if (isObject(read.get(key)))
      throw read.refused(
        key,
        "none: the weights are quantised; dequantise first (load the model with transformers, model.dequantize(), save_pretrained), or take the directory that it was made from",
      );
  for (const key of ["text_config", "vision_config", "audio_config"])
    if (isObject(read.get(key)))
      throw read.refused(key, "none: Retort reads language models alone; save the language model as a directory of its own");
}
