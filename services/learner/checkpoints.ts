import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { WorkerClient } from "../shared/base/workers.js";
import { writeAtomically } from "../shared/base/write-atomically.js";
import type { TrainHost } from "./train-host.js";

const stateName = "state.json";
/** Name of a checkpoint's directory. */
export const directoryName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** What a checkpoint says of itself, beside weights and optimiser. */
export interface CheckpointState {
  readonly step: number;
  readonly digest: string;
}

/** Writes a checkpoint: its state comes last, so that a directory with one is complete. Gives the weights' digest. */
export async function writeCheckpoint(host: WorkerClient<TrainHost>, path: string, state: { readonly step: number }): Promise<string> {
  await rm(join(path, stateName), { force: true });
  await mkdir(path, { recursive: true });
  const digest = await host.save(path, true);
  await writeAtomically(join(path, stateName), Buffer.from(`${JSON.stringify({ ...state, digest })}\n`));
  return digest;
}

/** The complete checkpoints under a directory, in rising order of their steps. */
export async function readCheckpoints<S extends CheckpointState>(root: string): Promise<(S & { readonly path: string })[]> {
  const names = await readdir(root).catch(() => []);
  const states = await Promise.all(
    names.map((name) =>
      readFile(join(root, name, stateName), "utf8").then(
        (text) => [{ ...(JSON.parse(text) as S), path: join(root, name) }],
        () => [],
      ),
    ),
  );
  return states.flat().sort((a, b) => a.step - b.step);
}

/** A run's checkpoints: each a Hugging Face directory with the optimiser's state. `state.json` is written last. */
export class Checkpoints {
  readonly #root: string;
  readonly #keep: number;

  constructor(root: string, keep: number) {
    this.#root = root;
    this.#keep = keep;
  }

  /** Saves one, then removes those beyond the number to keep. */
  async save(host: WorkerClient<TrainHost>, step: number): Promise<{ path: string; digest: string }> {
    const path = join(this.#root, directoryName(step));
    const digest = await writeCheckpoint(host, path, { step });
    for (const old of (await readCheckpoints(this.#root)).slice(0, -this.#keep)) await rm(old.path, { recursive: true, force: true });
    return { path, digest };
  }

  /** The newest complete one. */
  async newest(): Promise<{ step: number; path: string } | undefined> {
    return (await readCheckpoints(this.#root)).at(-1);
  }
}
