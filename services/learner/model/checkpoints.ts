import { rm } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../shared/base/hash-file.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { checkpointName } from "../../shared/flow/runs/checkpoint-name.js";
import { checkpointNames, checkpointState, readCheckpoints, readState, type Stored, stateName } from "./checkpoint-state.js";
import { filesIn } from "./files-in.js";
import type { TrainHost } from "./train-host.js";

/** A checkpoint that cannot be resumed from. */
export interface Refused {
  readonly path: string;
  readonly reason: string;
}

/** The folder of a checkpoint with the weights of the version that teachers follow, where the checkpoint's own are another. */
export const followedFolder = "followed";

/**
 * Writes a checkpoint: its state comes last, so that a directory with one is complete. Returns the weights' digest.
 *
 * @param bring puts the version that teachers follow into a directory, if there is one to be put there
 */
export async function writeCheckpoint(
  host: WorkerClient<TrainHost>,
  path: string,
  state: { readonly step: number },
  bring: (directory: string) => Promise<void> = async () => {},
): Promise<string> {
  await rm(join(path, stateName), { force: true });
  await makeDirectory(path);
  const { digest, files } = await host.save(path, true);
  await bring(join(path, followedFolder));
  const isKept = (name: string) => !name.includes("/") || name.startsWith(`${followedFolder}/`);
  const digests = (await filesIn(path, files)).flatMap(({ name, digest }) => (isKept(name) ? [[name, digest] as const] : []));
  await writeAtomically(
    join(path, stateName),
    Buffer.from(`${JSON.stringify({ ...state, digest, files: Object.fromEntries(digests) })}\n`),
  );
  return digest;
}

/** Why a checkpoint's files are not those that were written; undefined if they are. */
async function fault({ path, files }: Stored): Promise<string | undefined> {
  if (Object.keys(files).length === 0) return "its state lists no files";
  for (const [name, digest] of Object.entries(files)) {
    const found = await hashFile(join(path, name)).catch((error: NodeJS.ErrnoException) => error);
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

  /** Saves one, then removes those beyond the number to keep, and what was left unfinished. @param bring as of {@link writeCheckpoint} */
  async save(
    host: WorkerClient<TrainHost>,
    step: number,
    bring?: (directory: string) => Promise<void>,
  ): Promise<{ path: string; digest: string }> {
    const path = join(this.#root, checkpointName(step));
    // What a learner left that was killed while it wrote it would lie in this one too.
    await rm(join(path, stateName), { force: true });
    await rm(path, { recursive: true, force: true });
    const digest = await writeCheckpoint(host, path, { step }, bring);
    const kept = (await readCheckpoints(this.#root, checkpointState)).slice(-this.#keep).map((stored) => stored.path);
    for (const name of await checkpointNames(this.#root))
      if (!kept.includes(join(this.#root, name))) await rm(join(this.#root, name), { recursive: true, force: true });
    return { path, digest };
  }

  /** The newest complete one whose files are as they were written, and the newer ones that are not or are incomplete. */
  async newest(): Promise<{ readonly found: Stored | undefined; readonly refused: readonly Refused[] }> {
    const refused: Refused[] = [];
    for (const name of (await checkpointNames(this.#root)).sort((a, b) => Number(b.slice(5)) - Number(a.slice(5)))) {
      const path = join(this.#root, name);
      const stored = await readState(path, checkpointState);
      const reason = stored ? await fault(stored) : "it is incomplete: its state was never written, or cannot be read";
      if (!reason) return { found: stored, refused };
      refused.push({ path, reason });
    }
    return { found: undefined, refused };
  }
}
