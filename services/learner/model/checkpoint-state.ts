import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { checkpointStep } from "../../shared/flow/runs/checkpoint-name.js";

/** The file of a checkpoint that says what it is; it is written last. */
export const stateName = "state.json";

/** What a checkpoint says of itself, beside weights and optimiser. */
export const checkpointState = z.looseObject({
  step: z.number().int().min(0),
  /** SHA-256 of the weights, hexadecimal. */
  digest: z.string(),
  /** SHA-256 of every file, hexadecimal, by name. */
  files: z.record(z.string(), z.string()).default({}),
});

/** Parsed {@link checkpointState}. */
export type CheckpointState = z.infer<typeof checkpointState>;

/** A checkpoint on the disk. */
export type Stored<S extends CheckpointState = CheckpointState> = S & { readonly path: string };

/** The names of the checkpoints under a directory, complete or not; none where there is no such directory. */
export const checkpointNames = (root: string): Promise<string[]> =>
  readdir(root).then(
    (names) => names.filter((name) => checkpointStep(name) !== undefined),
    () => [],
  );

/** A checkpoint's state as a schema has it; undefined where there is none, or none that can be read. */
export async function readState<S extends CheckpointState>(path: string, schema: z.ZodType<S>): Promise<Stored<S> | undefined> {
  try {
    return { ...schema.parse(JSON.parse(await readFile(join(path, stateName), "utf8"))), path };
  } catch {
    return undefined;
  }
}

/** The complete checkpoints under a directory whose states are of a schema, in rising order of their steps. */
export async function readCheckpoints<S extends CheckpointState>(root: string, schema: z.ZodType<S>): Promise<Stored<S>[]> {
  const states = await Promise.all((await checkpointNames(root)).map((name) => readState(join(root, name), schema)));
  return states.flatMap((state) => state ?? []).sort((a, b) => a.step - b.step);
}
