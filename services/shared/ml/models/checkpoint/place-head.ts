import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import { readInto } from "../../../base/file-bytes.js";
import { architectureOf } from "../architectures/table.js";
import type { ModelConfig } from "../config/model-config.js";
import { readTensor, withFile } from "../safetensors/safetensors-file.js";
import type { StoredTensor } from "./open.js";

/** A language model's tensors with its head where it belongs, and the config that says so. */
export interface PlacedHead {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly warnings: readonly string[];
}

/**
 * Decides where a model's head is, as transformers 5 does. Under a tied flag: an equal head is the embedding, another head
 * is the model's own (and the flag is wrong), and a head without an embedding is both. In a family whose file alone decides,
 * the config then says what the file says.
 */
export async function placeHead(config: ModelConfig, tensors: ReadonlyMap<string, StoredTensor>, directory: string): Promise<PlacedHead> {
  const { embedding, head: headName, headByFile } = architectureOf(config);
  const [embed, head] = [tensors.get(embedding), tensors.get(headName)];
  if (headByFile) {
    const tieWordEmbeddings = !head || (embed !== undefined && (await sameElements(embed, head)));
    const tied = new Map([...tensors].filter(([name]) => name !== headName || !tieWordEmbeddings));
    return { config: { ...config, tieWordEmbeddings }, tensors: tied, warnings: [] };
  }
  if (!config.tieWordEmbeddings || !head) return { config, tensors, warnings: [] };
  if (embed && !(await sameElements(embed, head)))
    return {
      config: { ...config, tieWordEmbeddings: false },
      tensors,
      warnings: [
        `${join(directory, "config.json")} says tie_word_embeddings true, and ${headName} differs from ${embedding}: they are not tied, as in transformers; say tie_word_embeddings false there`,
      ],
    };
  const tied = new Map(tensors);
  tied.delete(headName);
  // A tensor in both places keeps one name.
  if (!embed) tied.set(embedding, head);
  return { config, tensors: tied, warnings: [] };
}

/**
 * The tensors without copies that a file holds of one and the same weight; a copy alone is the weight.
 *
 * @throws InvalidArgument naming a copy that differs
 */
export async function withoutCopies(
  config: ModelConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  directory: string,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const single = new Map(tensors);
  for (const [name, original] of Object.entries(architectureOf(config).copies ?? {})) {
    const [copy, weight] = [single.get(name), single.get(original)];
    if (copy && weight && !(await sameElements(copy, weight)))
      throw new RetortError(
        "InvalidArgument",
        `${directory}: tensor ${copy.stored} differs from ${original}, which it is in every model of type ${config.architecture}; take a model whose encoder and decoder share their embedding`,
      );
    if (copy && !weight) single.set(original, copy);
    single.delete(name);
  }
  return single;
}

const pieceBytes = 1 << 22;

/** Whether two tensors hold the same numbers; reads on only as long as they do. */
async function sameElements(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (a.entry.shape.join() !== b.entry.shape.join()) return false;
  return withFile(a.path, (fileA) =>
    withFile(b.path, async (fileB) => {
      if (a.entry.dtype !== b.entry.dtype) {
        const [one, other] = [await readTensor(fileA, a.start, a.entry, a.stored), await readTensor(fileB, b.start, b.entry, b.stored)];
        return one.data.every((x, i) => x === other.data[i]);
      }
      const length = a.entry.data_offsets[1] - a.entry.data_offsets[0];
      for (let done = 0; done < length; done += pieceBytes) {
        const [one, other] = [new Uint8Array(Math.min(pieceBytes, length - done)), new Uint8Array(Math.min(pieceBytes, length - done))];
        await readInto(fileA, a.start + a.entry.data_offsets[0] + done, one, a.path);
        await readInto(fileB, b.start + b.entry.data_offsets[0] + done, other, b.path);
        if (Buffer.compare(one, other) !== 0) return false;
      }
      return true;
    }),
  );
}
