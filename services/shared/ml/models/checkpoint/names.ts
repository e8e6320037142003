import { RetortError } from "../../../base/errors.js";
import { architectureOf } from "../architectures/table.js";
import type { ModelConfig } from "../config/model-config.js";
import { bodySpecs, classHead } from "../model-params.js";
import { foreignTensor } from "./diagnose.js";
import type { Checkpoint, StoredTensor } from "./open.js";

/**
 * The tensors of a checkpoint under the names that a model of this config has. A base model that was saved alone has them
 * without `model.`, which is added, and one `model.` too many is taken away, as transformers does. Rotary frequencies, which
 * old checkpoints hold, are left out: they follow from the config.
 *
 * @throws InvalidArgument naming a tensor that belongs to no such model, and the way out
 */
export function nameTensors({ directory, tensors }: Checkpoint, config: ModelConfig): Map<string, StoredTensor> {
  const wanted = new Set([...bodySpecs(config).map(({ name }) => name), architectureOf(config).head, classHead]);
  const named = new Map<string, StoredTensor>();
  for (const [stored, tensor] of tensors) {
    if (stored.endsWith(".rotary_emb.inv_freq")) continue;
    const name = nameOf(stored, wanted);
    const why = wanted.has(name) ? undefined : foreignTensor(name);
    if (why) throw new RetortError("InvalidArgument", `${directory}: tensor ${stored} ${why}`);
    const other = named.get(name);
    if (other)
      throw new RetortError(
        "InvalidArgument",
        `${directory}: tensors ${other.stored} and ${stored} are one and the same in the model; remove one`,
      );
    named.set(name, tensor);
  }
  return named;
}

function nameOf(stored: string, wanted: ReadonlySet<string>): string {
  if (wanted.has(stored)) return stored;
  if (stored.startsWith("model.") && wanted.has(stored.slice("model.".length))) return stored.slice("model.".length);
  return wanted.has(`model.${stored}`) ? `model.${stored}` : stored;
}
