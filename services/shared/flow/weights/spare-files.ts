import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../../base/make-directory.js";
import { spareOf } from "../../base/write-atomically.js";

/** Smaller files aren't worth keeping. */
const leastBytes = 2 ** 20;

/**
 * Large files of versions that are gone, for new ones to be written over: where each step writes a version, new pages of the system's
 * file cache take ten times as long as those that are there. The newest of each name is kept.
 */
export class SpareFiles {
  readonly #directory: string;

  /** @param directory for nothing else, on the file system of the versions; made when there is a file for it */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Keeps a file that is being removed.
   *
   * @param name in its version
   * @returns false if it isn't kept
   */
  async keep(name: string, path: string): Promise<boolean> {
    if (name.includes("/")) return false;
    const found = await stat(path).catch(() => undefined);
    if (!found || found.size < leastBytes) return false;
    await makeDirectory(this.#directory);
    await rename(path, join(this.#directory, name));
    return true;
  }

  /** Gives a new version's directory the files that were kept, but for those that a reader still has. */
  async give(staged: string): Promise<void> {
    for (const name of await readdir(this.#directory).catch(() => [])) {
      const path = join(this.#directory, name);
      const { nlink } = await stat(path);
      if (nlink === 1) await rename(path, join(staged, spareOf(name)));
    }
  }

  remove(): Promise<void> {
    return rm(this.#directory, { recursive: true, force: true });
  }
}
