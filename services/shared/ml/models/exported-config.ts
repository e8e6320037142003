import { architectureOf } from "./architectures/table.js";
import { Fields, type Json } from "./config/fields.js";
import { readRope, spellRope } from "./config/rope.js";

/**
 * The config.json of a model that is saved in float32: the config that it came with, the rotary embedding in the spellings of
 * transformers 4 and 5, and the element type of the file, so that no loader casts the weights to another.
 *
 * @throws InvalidArgument as {@link parseConfig}, for a config that was never read
 */
export function exportedConfig(raw: Json): Json {
  const read = new Fields(raw, "config.json");
  const { maxPositions } = architectureOf({ architecture: read.text("model_type") });
  const rope = readRope(read, read.size("max_position_embeddings", maxPositions));
  // transformers 5 takes original_max_position_embeddings of the config for that of the scaling: they are alike now.
  const { dtype, torch_dtype, ...others } = raw;
  return { ...others, ...spellRope(rope), torch_dtype: "float32", dtype: "float32" };
}
