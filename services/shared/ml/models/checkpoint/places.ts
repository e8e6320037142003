import { RetortError } from "../../../base/errors.js";
import { baseOf, readAdapterConfig } from "./adapter.js";
import { isAdapter, namesIn, refuseAdapter } from "./diagnose.js";
import type { AdapterConfig } from "./peft-config.js";

/** Where the parts of a model lie: in one directory, or, for a PEFT adapter, in its own and its base model's. */
export interface ModelPlaces {
  /** Directory of config and weights. */
  readonly model: string;
  /** Directory of the tokenizer's files: the adapter's own, where it has them. */
  readonly tokenizer: string;
  /** The adapter that is put on the model. */
  readonly adapter?: { readonly directory: string; readonly config: AdapterConfig };
}

/**
 * Finds the parts of a model by its directory, which may be a PEFT adapter's.
 *
 * @param base directory of the base model, where it is another than the adapter's config says
 * @throws NotFound or InvalidArgument naming the file and the way out
 */
export async function placesOf(directory: string, base?: string): Promise<ModelPlaces> {
  const names = await namesIn(directory);
  if (!isAdapter(names)) {
    if (base !== undefined)
      throw new RetortError("InvalidArgument", `${directory} isn't an adapter, and a base model is named for it (${base}); leave that out`);
    return { model: directory, tokenizer: directory };
  }
  if (names.includes("config.json")) refuseAdapter(directory, names);
  const written = await readAdapterConfig(directory);
  const config = base === undefined ? written : { ...written, base };
  const model = await baseOf(directory, config);
  return { model, tokenizer: names.includes("tokenizer.json") ? directory : model, adapter: { directory, config } };
}
