import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import type { Weights } from "../../shared/ml/models/param-spec.js";
import { encodeSafetensors } from "../../shared/ml/models/safetensors/safetensors.js";
import { readTensors } from "../../shared/ml/models/safetensors/safetensors-file.js";
import type { Moments, TrainerState } from "../../shared/ml/training/optimizer-state.js";
import { checkpointState, readState } from "./checkpoint-state.js";

/** The file of a checkpoint with the optimiser's moments. */
export const momentsName = "optimizer.safetensors";

/** The file of an adapter's checkpoint that says which model it was trained on. */
const baseName = "base.json";

/** The model that an adapter is trained on. */
export interface BaseIdentity {
  readonly directory: string;
  /** SHA-256 of its weights, hexadecimal. */
  readonly digest: string;
}

const baseIdentity = z.object({ directory: z.string(), digest: z.string() });

/** Writes what a checkpoint holds besides weights. @param base for an adapter's */
export async function writeTrainerFiles(checkpoint: string, moments: Moments, base: BaseIdentity | undefined): Promise<void> {
  if (base) await writeAtomically(join(checkpoint, baseName), Buffer.from(`${JSON.stringify(base)}\n`));
  await writeAtomically(join(checkpoint, momentsName), momentsFile(moments));
}

function momentsFile({ m, v, updates }: Moments) {
  const named = Object.entries({ m, v }).flatMap(([part, tensors]) =>
    [...tensors].map(([name, tensor]) => [`${part}:${name}`, tensor] as const),
  );
  return encodeSafetensors(new Map(named), { updates: String(updates) });
}

/** Where the trainer was that wrote a checkpoint. @param params the checkpoint's weights, which have been read */
export async function readTrainerState(checkpoint: string, params: Weights): Promise<TrainerState> {
  const moments = await readTensors(join(checkpoint, momentsName));
  const part = (prefix: string) =>
    new Map([...moments].flatMap(([name, tensor]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [])));
  const { step } = found(await readState(checkpoint, checkpointState), `the state of checkpoint ${checkpoint}`);
  return { params, m: part("m:"), v: part("v:"), updates: step };
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
