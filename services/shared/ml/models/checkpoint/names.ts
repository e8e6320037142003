import { RetortError } from "../../../base/errors.js";
import { architectureOf } from "../architectures/table.js";
import type { ModelConfig } from "../config/model-config.js";
import { bodySpecs, classHead } from "../model-params.js";
import { foreignTensor } from "./diagnose.js";
import type { Checkpoint, StoredTensor } from "./open.js";

/**
 * The tensors of a checkpoint under the names that a model of this config has. A base model that was saved alone has them
 * without its prefix (`model.`), which is added, and one too many is taken away, as transformers does. Rotary frequencies and
 * masks, which old checkpoints hold, are left out: they follow from the config.
 *
 * @throws InvalidArgument naming a tensor that belongs to no such model, and the way out
 */
export function nameTensors({ directory, tensors }: Checkpoint, config: ModelConfig): Map<string, StoredTensor> {
  const { head, prefix, buffers } = architectureOf(config);
  const wanted = new Set([...bodySpecs(config).map(({ name }) => name), head, classHead]);
  const named = new Map<string, StoredTensor>();
  for (const [stored, tensor] of tensors) {
    if (buffers.test(stored)) continue;
    const name = nameOf(stored, prefix, wanted);
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

function nameOf(stored: string, prefix: string, wanted: ReadonlySet<string>): string {
  if (wanted.has(stored)) return stored;
  if (stored.startsWith(prefix) && wanted.has(stored.slice(prefix.length))) return stored.slice(prefix.length);
  return wanted.has(`${prefix}${stored}`) ? `${prefix}${stored}` : stored;
}
