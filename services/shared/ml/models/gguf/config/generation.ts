import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";
import type { RoleIds } from "../tokenizer/tokenizer-files.js";

/** Settings of sampling that a file may recommend, by their names in generation_config.json. */
const sampling = {
  temperature: "general.sampling.temp",
  top_k: "general.sampling.top_k",
  top_p: "general.sampling.top_p",
  min_p: "general.sampling.min_p",
} as const;

/** generation_config.json: the tokens that begin, end and fill up a sequence, and what sampling the file recommends. */
export function generationJson(fields: GgufFields, { bos, ends, pad }: RoleIds): Json {
  const recommended = Object.entries(sampling).flatMap(([name, key]) =>
    fields.get(key) === undefined ? [] : [[name, fields.positive(key)] as const],
  );
  return {
    ...(bos === undefined ? {} : { bos_token_id: bos }),
    ...(ends.length ? { eos_token_id: ends.length === 1 ? ends[0] : ends } : {}),
    ...(pad === undefined ? {} : { pad_token_id: pad }),
    ...(recommended.length ? { do_sample: true, ...Object.fromEntries(recommended) } : {}),
  };
}
