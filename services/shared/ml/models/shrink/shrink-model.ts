import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { readInto } from "../../../base/file-bytes.js";
import { clearDirectory } from "../../../base/own-directory.js";
import { openRegular } from "../../../base/regular-files.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { tokenizerPaths } from "../../text/tokenizer.js";
import { checkCheckpoint, openModel } from "../checkpoint/check.js";
import { clearWeights } from "../checkpoint/clear-weights.js";
import { namesIn, refuseAdapter } from "../checkpoint/diagnose.js";
import type { StoredTensor } from "../checkpoint/open.js";
import { configText } from "../config/config-text.js";
import type { Json } from "../config/fields.js";
import type { ModelConfig } from "../config/model-config.js";
import { copyTokenizer } from "../files/adapter-files.js";
import { parameterCount } from "../model-params.js";
import { parseConfig } from "../parse-config.js";
import { type ShardOptions, shardFiles, type WrittenTensor, writeShards } from "../safetensors/write-shards.js";
import { cutConfig } from "./cut-config.js";
import { cutTensors } from "./cut-tensors.js";
import { type KeptLayers, keptLayers, type LayerChoice } from "./kept-layers.js";

/** What a model becomes without some of its layers; no weight has been read. */
export interface ShrunkModel {
  /** The model that is cut. */
  readonly directory: string;
  readonly whole: ModelConfig;
  readonly kept: KeptLayers;
  /** The config.json of what is left. */
  readonly config: Json;
  /** Of what is left. */
  readonly parameters: number;
  /** Bytes of its weights. */
  readonly bytes: number;
  /** Element types of the weights, as the safetensors format calls them. */
  readonly dtypes: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const generationName = "generation_config.json";

/** Bytes that are held at once while a tensor is copied. */
const pieceBytes = 1 << 22;

/**
 * Plans a student that is its teacher without some layers: embedding, head, last norm and tokenizer are the teacher's, the
 * layers that stay follow on each other.
 *
 * @param decoder which layers stay; of an encoder-decoder, in its decoder
 * @param encoder which stay in the encoder, where that is not what is said of the decoder
 * @throws NotFound, DataLoss or InvalidArgument naming the directory, the file, the field or tensor, and the way out
 */
export async function planShrink(directory: string, decoder: LayerChoice, encoder?: LayerChoice): Promise<ShrunkModel> {
  refuseAdapter(directory, await namesIn(directory));
  const opened = await openModel(directory);
  await checkCheckpoint(opened);
  const { config: whole, rawConfig, checkpoint } = opened;
  const kept = keptLayers(whole, directory, decoder, encoder);
  const config = cutConfig(rawConfig, kept, join(directory, "config.json"));
  const tensors = cutTensors(checkpoint.tensors, whole, kept);
  const entries = [...tensors.values()].map(({ entry }) => entry);
  return {
    ...{ directory, whole, kept, config, tensors },
    parameters: parameterCount(parseConfig(config)),
    bytes: entries.reduce((sum, { data_offsets: [from, to] }) => sum + to - from, 0),
    dtypes: [...new Set(entries.map(({ dtype }) => dtype))].sort(),
  };
}

/**
 * Writes a model that was planned: tokenizer and settings as they are, then config.json, then the weights, bit for bit, each
 * beside its name and renamed. Memory holds some megabytes of one tensor.
 *
 * @param out a directory of ours, of the kind "shrink"
 * @param onBytes is told how many bytes of weights more have been written
 * @param shardBytes as of {@link ShardOptions}
 * @throws FailedPrecondition naming other weights that stay; DataLoss for a file that is cut off meanwhile
 */
export async function writeShrunk(
  out: string,
  plan: ShrunkModel,
  onBytes: (bytes: number) => void,
  shardBytes?: ShardOptions["shardBytes"],
): Promise<void> {
  const tensors = [...plan.tensors].map(([name, tensor]) => written(name, tensor, onBytes));
  await clearWeights(out, "shrink", shardFiles(tensors, shardBytes));
  // A template that another teacher had would speak for this one.
  await clearDirectory(out, "shrink", [...(await tokenizerPaths(out)), generationName]);
  await copyTokenizer(plan.directory, out);
  if ((await namesIn(plan.directory)).includes(generationName))
    await copyFile(join(plan.directory, generationName), join(out, generationName));
  await writeAtomically(join(out, "config.json"), Buffer.from(configText(plan.config)));
  await writeShards(out, tensors, { shardBytes });
}

function written(name: string, { path, stored, start, entry }: StoredTensor, onBytes: (bytes: number) => void): WrittenTensor {
  const [from, to] = entry.data_offsets;
  return {
    ...{ name, dtype: entry.dtype, shape: entry.shape, bytes: to - from },
    async *read() {
      const file = await openRegular(path);
      try {
        for (let at = from; at < to; at += pieceBytes) {
          const bytes = new Uint8Array(Math.min(pieceBytes, to - at));
          await readInto(file, start + at, bytes, `${path}: tensor ${stored}`);
          onBytes(bytes.length);
          yield bytes;
        }
      } finally {
        await file.close();
      }
    },
  };
}
