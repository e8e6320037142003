import { RetortError } from "../../../base/errors.js";
import { sizeOf } from "../../graph/tensor.js";
import { architectureOf } from "../architectures/table.js";
import type { ModelConfig } from "../config/model-config.js";
import { bodySpecs, classHead } from "../model-params.js";
import { foreignTensor } from "./diagnose.js";
import type { Checkpoint, StoredTensor } from "./open.js";

/**
 * The tensors of a checkpoint under the names that a model of this config has. A base model that was saved alone has them
 * without its prefix (`model.`), which is added, and one too many is taken away, as transformers does; other names of its
 * family are changed. Rotary frequencies and masks, which old checkpoints hold, are left out: they follow from the config.
 *
 * @throws InvalidArgument naming a tensor that belongs to no such model, and the way out
 */
export function nameTensors({ directory, tensors }: Checkpoint, config: ModelConfig): Map<string, StoredTensor> {
  const { head, prefix, buffers, copies = {} } = architectureOf(config);
  const wanted = new Set([...bodySpecs(config).map(({ name }) => name), head, classHead, ...Object.keys(copies)]);
  const named = new Map<string, StoredTensor>();
  for (const [respelled, tensor] of [...tensors].flatMap(([stored, tensor]) => respell(stored, tensor, config))) {
    const { stored } = tensor;
    if (buffers.test(stored)) continue;
    const name = nameOf(respelled, prefix, wanted);
    const why = wanted.has(name) ? undefined : foreignTensor(name);
    if (why) throw new RetortError("InvalidArgument", `${directory}: tensor ${stored} ${why}`);
    const twin = named.get(name);
    if (twin)
      throw new RetortError(
        "InvalidArgument",
        `${directory}: tensors ${twin.stored} and ${stored} are one and the same in the model; remove one`,
      );
    named.set(name, tensor);
  }
  return named;
}

/** A tensor by the name that its family has for it, or the weights that it holds one behind the other. */
function respell(stored: string, tensor: StoredTensor, config: ModelConfig): (readonly [name: string, tensor: StoredTensor])[] {
  const { renamed = [], pieces } = architectureOf(config);
  const name = renamed.reduce((name, [pattern, to]) => name.replace(pattern, to), stored);
  const { entry } = tensor;
  const parts = pieces?.(name, entry.shape, config);
  if (!parts) return [[name, tensor]];
  let [begin] = entry.data_offsets;
  const bytes = entry.data_offsets[1] - begin;
  const whole = sizeOf(entry.shape);
  return parts.map(({ name, dims }) => {
    const end = begin + (bytes * sizeOf(dims)) / whole;
    const part: StoredTensor = { ...tensor, entry: { ...entry, shape: [...dims], data_offsets: [begin, end] } };
    begin = end;
    return [name, part];
  });
}

function nameOf(stored: string, prefix: string, wanted: ReadonlySet<string>): string {
  if (wanted.has(stored)) return stored;
  if (stored.startsWith(prefix) && wanted.has(stored.slice(prefix.length))) return stored.slice(prefix.length);
  return wanted.has(`${prefix}${stored}`) ? `${prefix}${stored}` : stored;
}
