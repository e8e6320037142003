import { architectureOf } from "./architectures/table.js";
import { Fields, type Json } from "./config/fields.js";
import type { FloatDtype } from "./safetensors/widen.js";

/**
 * The config.json of a model that is saved, in float32 unless `dtype` says otherwise: the config that it came with, the rotary embedding, or what a
 * family spells in its place (T5: its head and start token), so that transformers 4 and 5 read the same, and the element type of
 * the file, so that no loader casts the weights to another.
 *
 * @throws InvalidArgument as {@link parseConfig}, for a config that was never read
 */
export function exportedConfig(raw: Json, dtype: FloatDtype = "float32"): Json {
  const { spell, aliases } = architectureOf({ architecture: new Fields(raw, "config.json").text("model_type") });
  const { dtype: _, torch_dtype, ...others } = raw;
  return { ...others, ...spell?.(new Fields(raw, "config.json", "", aliases)), torch_dtype: dtype, dtype };
}
