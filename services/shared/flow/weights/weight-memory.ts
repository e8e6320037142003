import { createHash } from "node:crypto";
import { cp, lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, statfs, symlink } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { freeBytes } from "../../base/free-bytes.js";
import { isDirectory } from "../../base/is-directory.js";
import { makeDirectory } from "../../base/make-directory.js";
import { spareOf, writeAtomically } from "../../base/write-atomically.js";

/** Where Linux has a file system in memory for the programs of all users. */
const sharedMemory = "/dev/shm";

/** What `statfs` calls a file system in memory. */
const tmpfs = 0x01021994;

/** The file of a place that says which data directory it is of. */
const ownerName = "data-directory";

/** Where files of versions that are gone are kept in a run's place. */
const sparesName = ".spare";

/** Smaller files aren't worth keeping. */
const leastSpareBytes = 2 ** 20;

/** So many versions must fit into what is free for a run's to lie in memory: there are three or four at a time. */
const leastVersions = 8;

/**
 * The place in memory for the weights of a data directory's runs, for processes that are all on this machine; undefined where there is none
 * that is this user's alone. Places of data directories that are gone are removed.
 */
export async function weightMemoryOf(dataDir: string): Promise<string | undefined> {
  if (!(await isMemory(sharedMemory))) return undefined;
  const { uid } = userInfo();
  const place = placeOf(dataDir);
  const all = dirname(place);
  try {
    await mkdir(all, { mode: 0o700 }).catch(unlessThere);
    const made = await lstat(all);
    if (!made.isDirectory() || made.uid !== uid || (made.mode & 0o077) !== 0) return undefined;
    for (const name of await readdir(all)) await removeAbandoned(join(all, name));
    await makeDirectory(place);
    await writeAtomically(join(place, ownerName), Buffer.from(dataDir), { sync: false });
    return place;
  } catch {
    // It is full, say: weights lie on the disk then.
    return undefined;
  }
}

/** What a data directory has in memory: its place, and the runs with something in it. */
export async function inWeightMemory(dataDir: string): Promise<{ readonly place: string; readonly runs: readonly string[] } | undefined> {
  const place = placeOf(dataDir);
  const names = await readdir(place).catch(() => undefined);
  return names && { place, runs: names.filter((name) => name !== ownerName) };
}

/** All places of a user are in one directory. */
const placeOf = (dataDir: string): string =>
  join(sharedMemory, `retort-${userInfo().uid}`, createHash("sha256").update(dataDir).digest("hex").slice(0, 24));

async function removeAbandoned(place: string): Promise<void> {
  const owner = await readFile(join(place, ownerName), "utf8").catch(() => undefined);
  if (owner === undefined) return;
  const isGone = await stat(owner).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === "ENOENT",
  );
  if (isGone) await rm(place, { recursive: true, force: true });
}

/** Whether what lies under a path is in memory alone: a loss of power leaves nothing of it, rather than a part. */
export const isMemory = (path: string): Promise<boolean> =>
  statfs(path).then(
    ({ type }) => type === tmpfs,
    () => false,
  );

/**
 * Lets the directory of a run be a link to one in memory. Nothing is written to a disk then, which at some size can't keep pace
 * with a version for each step; all else is as with a directory.
 */
export class WeightMemory {
  readonly #place: string;

  /** @param place of {@link weightMemoryOf} */
  constructor(place: string) {
    this.#place = place;
  }

  /** Makes the directory of a run, in memory if it isn't there yet and there is room for versions of so many bytes. */
  async offer(directory: string, runId: string, bytes: number): Promise<void> {
    if (await isDirectory(directory)) return;
    const place = join(this.#place, runId);
    const free = Math.min((await freeBytes(this.#place)) ?? 0, process.availableMemory());
    if (free < leastVersions * bytes) return;
    await makeDirectory(place);
    await makeDirectory(dirname(directory));
    // Another process may have been faster.
    await symlink(place, directory).catch(unlessThere);
  }

  /** Whether the directory of a run is here. */
  async has(directory: string, runId: string): Promise<boolean> {
    return (await readlink(directory).catch(() => undefined)) === join(this.#place, runId);
  }

  /**
   * Keeps a file of a run that is here, which is removed: new memory for each version takes longer than to write it.
   *
   * @param name in its version
   * @returns false if it isn't kept
   */
  async keepSpare(runId: string, name: string, path: string): Promise<boolean> {
    if (name.includes("/")) return false;
    const found = await stat(path).catch(() => undefined);
    if (!found || found.size < leastSpareBytes) return false;
    const spares = join(this.#place, runId, sparesName);
    await makeDirectory(spares);
    await rename(path, join(spares, name));
    return true;
  }

  /** Gives a new version's directory the files that were kept, but for those that a reader still has. */
  async giveSpares(runId: string, staged: string): Promise<void> {
    const spares = join(this.#place, runId, sparesName);
    for (const name of await readdir(spares).catch(() => [])) {
      const { nlink } = await stat(join(spares, name));
      if (nlink === 1) await rename(join(spares, name), join(staged, spareOf(name)));
    }
  }

  /** Removes what a run has in memory. */
  remove(runId: string): Promise<void> {
    return rm(join(this.#place, runId), { recursive: true, force: true });
  }

  /** Moves what a run has in memory to where its directory is: it is there after the machine's next start, too. */
  async settle(directory: string, runId: string): Promise<void> {
    const place = join(this.#place, runId);
    if (!(await this.has(directory, runId))) return;
    const copy = `${directory}.tmp`;
    await rm(copy, { recursive: true, force: true });
    for (const name of await readdir(place)) if (/^\d+$/.test(name)) await cp(join(place, name), join(copy, name), { recursive: true });
    await makeDirectory(copy);
    await rm(directory);
    await rename(copy, directory);
    await this.remove(runId);
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
