import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { float32, type Tensor } from "../../shared/ml/graph/tensor.js";
import { readModelJson } from "../../shared/ml/models/checkpoint/model-json.js";
import type { Weights } from "../../shared/ml/models/param-spec.js";
import { readTensors } from "../../shared/ml/models/safetensors/safetensors-file.js";
import { indexName, type WrittenFile, writeShards, writtenTensors } from "../../shared/ml/models/safetensors/write-shards.js";
import type { LossScale } from "../../shared/ml/training/loss-scale.js";
import type { Moments, TrainerState } from "../../shared/ml/training/optimizer-state.js";
import { checkpointState, readState } from "./checkpoint-state.js";

/** The file of a checkpoint with the optimiser's moments, or its shards: what it is called. */
const momentsStem = "optimizer";
export const momentsName = `${momentsStem}.safetensors`;

/** The scale of the loss among the moments, where there is one: float32 [2], the scale and the updates that it has held for. */
const lossScaleName = "lossScale";

/** That with the average of what is trained. */
const averageStem = "average";

/** The file of an adapter's checkpoint that says which model it was trained on. */
const baseName = "base.json";

/** The model that an adapter is trained on. */
export interface BaseIdentity {
  readonly directory: string;
  /** SHA-256 of its weights, hexadecimal. */
  readonly digest: string;
}

const baseIdentity = z.object({ directory: z.string(), digest: z.string() });

/**
 * Writes what a checkpoint holds besides weights, from the trainer's own arrays.
 *
 * @param base for an adapter's
 * @param shardBytes as of {@link ShardOptions}
 * @returns the files of the moments
 */
export async function writeTrainerFiles(
  checkpoint: string,
  { m, v, updates, lossScale }: Moments,
  base: BaseIdentity | undefined,
  shardBytes?: number,
): Promise<WrittenFile[]> {
  if (base) await writeAtomically(join(checkpoint, baseName), Buffer.from(`${JSON.stringify(base)}\n`));
  const named = Object.entries({ m, v }).flatMap(([part, tensors]) =>
    [...tensors].map(([name, tensor]) => [`${part}:${name}`, tensor] as const),
  );
  const scale = lossScale ? [[lossScaleName, float32([lossScale.scale, lossScale.updates], [2])] as const] : [];
  const options = { shardBytes, stem: momentsStem, metadata: { updates: String(updates) } };
  return writeShards(checkpoint, writtenTensors(new Map<string, Tensor<"float32">>([...named, ...scale])), options);
}

/** Where the trainer was that wrote a checkpoint. @param params the checkpoint's weights, which have been read */
export async function readTrainerState(checkpoint: string, params: Weights): Promise<TrainerState> {
  const [m, v] = [new Map<string, Tensor<"float32">>(), new Map<string, Tensor<"float32">>()];
  let lossScale: LossScale | undefined;
  for (const file of await shardsOf(checkpoint, momentsStem))
    for (const [name, tensor] of await readTensors(join(checkpoint, file))) {
      if (name === lossScaleName) lossScale = { scale: found(tensor.data[0], name), updates: found(tensor.data[1], name) };
      else (name.startsWith("m:") ? m : v).set(name.slice("m:".length), tensor);
    }
  const { step } = found(await readState(checkpoint, checkpointState), `the state of checkpoint ${checkpoint}`);
  return { params, m, v, updates: step, lossScale };
}

/** The files that a checkpoint has of a stem: one, or the shards that an index names. */
async function shardsOf(checkpoint: string, stem: string): Promise<string[]> {
  const index = await readModelJson(checkpoint, indexName(stem), {});
  const map = typeof index.weight_map === "object" && index.weight_map !== null ? Object.values(index.weight_map) : [];
  return map.length ? [...new Set(map.map(String))] : [`${stem}.safetensors`];
}

/** Writes the average of what is trained into a checkpoint, from its own arrays. @param shardBytes as of {@link ShardOptions} */
export const writeAverage = (checkpoint: string, average: Weights, shardBytes?: number): Promise<WrittenFile[]> =>
  writeShards(checkpoint, writtenTensors(average), { shardBytes, stem: averageStem });

/** The average that a checkpoint has. @throws NotFound or DataLoss naming the file */
export async function readAverage(checkpoint: string): Promise<Weights> {
  const average = new Map<string, Tensor<"float32">>();
  for (const file of await shardsOf(checkpoint, averageStem))
    for (const [name, tensor] of await readTensors(join(checkpoint, file))) average.set(name, tensor);
  return average;
}

/** How a refusal of a checkpoint ends. */
export const checkpointWayOut = "remove the checkpoint, or restore the spec it began with";

/**
 * Checks that an adapter's checkpoint was trained on this base model.
 *
 * @throws FailedPrecondition if it was another one, or the checkpoint is no adapter's; DataLoss or what the file's system says
 *   naming the file that says so
 */
export async function checkBase(checkpoint: string, base: BaseIdentity): Promise<void> {
  const { directory, digest } = await readBase(checkpoint);
  if (digest === base.digest) return;
  throw new RetortError(
    "FailedPrecondition",
    `the checkpoint ${checkpoint} holds an adapter of ${directory} with the weights ${digest.slice(0, 12)}…, and those in ${base.directory} are ${base.digest.slice(0, 12)}…; put the base model's weights back that the run began with, or remove the checkpoint`,
  );
}

async function readBase(checkpoint: string): Promise<BaseIdentity> {
  const path = join(checkpoint, baseName);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT")
      throw new RetortError(
        "FailedPrecondition",
        `the checkpoint ${checkpoint} is not that of an adapter, which the run trains: it has no ${baseName}; ${checkpointWayOut}`,
      );
    const { code } = RetortError.from(error);
    throw new RetortError(code, `${path} cannot be read (${error.code}); let this process read it, or remove the checkpoint`);
  });
  const damaged = (reason: string) =>
    new RetortError("DataLoss", `${path} is damaged (${reason}); remove the checkpoint ${checkpoint}, or restore the file`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  const parsed = baseIdentity.safeParse(value);
  if (parsed.success) return parsed.data;
  throw damaged(`no text at ${parsed.error.issues.map(({ path: field }) => field.join(".") || "its top").join(", ")}`);
}
