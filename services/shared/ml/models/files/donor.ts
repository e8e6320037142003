import { type Ends, endsOf } from "../../text/ends.js";
import { Tokenizer } from "../../text/tokenizer.js";
import { readModelJson } from "../checkpoint/model-json.js";
import { placesOf } from "../checkpoint/places.js";
import { Fields } from "../config/fields.js";

/** What a student from scratch takes from the directory whose tokenizer it uses. The directory's model may be of any family. */
export interface Donor {
  readonly tokenizer: Tokenizer;
  readonly ends: Ends;
  /** Keys for the student's config.json: vocabulary size and special ids, the ends those of {@link Donor.ends}. */
  readonly shared: Readonly<Record<string, unknown>>;
}

/** Reads a donor directory, which may be a PEFT adapter's. @throws NotFound or InvalidArgument naming the file and the way out */
export async function readDonor(directory: string): Promise<Donor> {
  const { tokenizer: words, model } = await placesOf(directory);
  const tokenizer = await Tokenizer.load(words, model);
  const raw = await readModelJson(model, "config.json", {});
  const generation = await readModelJson(model, "generation_config.json", {});
  const [config, generated] = [new Fields(raw, "config.json"), new Fields(generation, "generation_config.json")];
  const ends = endsOf(tokenizer, [...new Set([...generated.ids("eos_token_id"), ...config.ids("eos_token_id")])]);
  const { bosId, padId } = tokenizer.specials;
  return {
    tokenizer,
    ends,
    shared: {
      vocab_size: raw.vocab_size ?? tokenizer.size,
      bos_token_id: raw.bos_token_id ?? bosId ?? null,
      eos_token_id: ends.ids.length === 1 ? ends.ids[0] : ends.ids.length ? [...ends.ids] : null,
      pad_token_id: raw.pad_token_id ?? padId ?? null,
    },
  };
}
