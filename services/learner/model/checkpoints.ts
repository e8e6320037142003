import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { makeDirectory } from "../../shared/base/make-directory.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import type { TrainHost } from "./train-host.js";

const stateName = "state.json";
/** Name of a checkpoint's directory. */
export const directoryName = (step: number): string => `step-${String(step).padStart(8, "0")}`;
const isDirectoryName = (name: string): boolean => /^step-\d{8,}$/.test(name);

const stateSchema = z.looseObject({
  step: z.number().int().min(0),
  digest: z.string(),
  files: z.record(z.string(), z.string()).default({}),
});

/** What a checkpoint says of itself, beside weights and optimiser. */
export interface CheckpointState {
  readonly step: number;
  /** SHA-256 of the weights, hexadecimal. */
  readonly digest: string;
  /** SHA-256 of every file, hexadecimal, by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** A checkpoint on the disk. */
export type Stored<S extends CheckpointState = CheckpointState> = S & { readonly path: string };

/** A checkpoint that cannot be resumed from. */
export interface Refused {
  readonly path: string;
  readonly reason: string;
}

/** Writes a checkpoint: its state comes last, so that a directory with one is complete. Returns the weights' digest. */
export async function writeCheckpoint(host: WorkerClient<TrainHost>, path: string, state: { readonly step: number }): Promise<string> {
  await rm(join(path, stateName), { force: true });
  await makeDirectory(path);
  const digest = await host.save(path, true);
  const files = await digestsIn(path);
  await writeAtomically(join(path, stateName), Buffer.from(`${JSON.stringify({ ...state, digest, files })}\n`));
  return digest;
}

async function digestsIn(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile() && entry.name !== stateName);
  const digests: Record<string, string> = {};
  for (const { name } of names.sort((a, b) => (a.name < b.name ? -1 : 1))) digests[name] = await sha256(join(path, name));
  return digests;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 4 * 1024 * 1024 }), hash);
  return hash.digest("hex");
}

/** The complete checkpoints under a directory, in rising order of their steps. */
export async function readCheckpoints<S extends CheckpointState>(root: string): Promise<Stored<S>[]> {
  const states = await Promise.all((await namesIn(root)).map((name) => readState<S>(join(root, name))));
  return states.flatMap((state) => state ?? []).sort((a, b) => a.step - b.step);
}

const namesIn = (root: string): Promise<string[]> =>
  readdir(root).then(
    (names) => names.filter(isDirectoryName),
    () => [],
  );

/** A checkpoint's state; undefined where it has none, or none that can be read. */
async function readState<S extends CheckpointState>(path: string): Promise<Stored<S> | undefined> {
  try {
    const state = stateSchema.parse(JSON.parse(await readFile(join(path, stateName), "utf8")));
    return { ...state, path } as unknown as Stored<S>;
  } catch {
    return undefined;
  }
}

/** Why a checkpoint's files are not those that were written; undefined if they are. */
async function fault({ path, files }: Stored): Promise<string | undefined> {
  if (Object.keys(files).length === 0) return "its state lists no files";
  for (const [name, digest] of Object.entries(files)) {
    const found = await sha256(join(path, name)).catch((error: NodeJS.ErrnoException) => error);
    if (typeof found !== "string") return `${name} cannot be read (${found.code ?? found.message})`;
    if (found !== digest)
      return `${name} is not what was written: it has the SHA-256 ${found.slice(0, 12)}…, and had ${digest.slice(0, 12)}…`;
  }
  return undefined;
}

/** A run's checkpoints: each a Hugging Face directory with the optimiser's state. `state.json` is written last. */
export class Checkpoints {
  readonly #root: string;
  readonly #keep: number;

  constructor(root: string, keep: number) {
    this.#root = root;
    this.#keep = keep;
  }

  /** Saves one, then removes those beyond the number to keep, and what was left unfinished. */
  async save(host: WorkerClient<TrainHost>, step: number): Promise<{ path: string; digest: string }> {
    const path = join(this.#root, directoryName(step));
    const digest = await writeCheckpoint(host, path, { step });
    const kept = (await readCheckpoints(this.#root)).slice(-this.#keep).map((stored) => stored.path);
    for (const name of await namesIn(this.#root))
      if (!kept.includes(join(this.#root, name))) await rm(join(this.#root, name), { recursive: true, force: true });
    return { path, digest };
  }

  /** The newest complete one whose files are as they were written, and the newer ones that are not or are incomplete. */
  async newest(): Promise<{ readonly found: Stored | undefined; readonly refused: readonly Refused[] }> {
    const refused: Refused[] = [];
    for (const name of (await namesIn(this.#root)).sort((a, b) => Number(b.slice(5)) - Number(a.slice(5)))) {
      const path = join(this.#root, name);
      const stored = await readState(path);
      const reason = stored ? await fault(stored) : "it is incomplete: its state was never written, or cannot be read";
      if (!reason) return { found: stored, refused };
      refused.push({ path, reason });
    }
    return { found: undefined, refused };
  }
}
