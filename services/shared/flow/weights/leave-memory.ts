import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkpointStep, stateName } from "../runs/checkpoint-name.js";
import { DirectoryStore } from "./directory-store.js";
import { inWeightMemory, WeightMemory } from "./weight-memory.js";

/**
 * Frees the memory that the weights of a data directory's runs take, when nothing uses them any more. A run that has a checkpoint goes on
 * from there, as when the machine has started again; the versions of any other are moved to the disk.
 *
 * @throws what keeps them from being moved: they stay in memory
 */
export async function leaveWeightMemory(dataDir: string): Promise<void> {
  const found = await inWeightMemory(dataDir);
  if (!found) return;
  const { place, runs } = found;
  const memory = new WeightMemory(place);
  const store = new DirectoryStore(join(dataDir, "weights"), memory);
  for (const runId of runs) {
    if (!(await hasCheckpoint(join(dataDir, "runs", runId, "checkpoints")))) await store.settle(runId);
    await memory.remove(runId);
  }
  await rm(place, { recursive: true, force: true });
}

/** Whether a directory has a checkpoint that is complete. */
async function hasCheckpoint(directory: string): Promise<boolean> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => checkpointStep(name) !== undefined);
  const found = await Promise.all(names.map((name) => stat(join(directory, name, stateName)).catch(() => undefined)));
  return found.some((state) => state?.isFile());
}
