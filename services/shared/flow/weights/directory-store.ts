import { readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hashFile } from "../../base/hash-file.js";
import { linkOrCopy } from "../../base/link-or-copy.js";
import { makeDirectory } from "../../base/make-directory.js";
import { writeAtomically } from "../../base/write-atomically.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";

/**
 * Versions in a directory that all roles share: `<root>/<run>/<version>/<file>`. Who stores or fetches shares the files
 * themselves, by hard links.
 *
 * Nothing is synced to the disk, which would take as long again as all the rest: after a power cut a version may be torn. Its
 * digests tell, and the learner that takes the run over stores again what is still asked for.
 */
export class DirectoryStore extends BlobStore {
  readonly #root: string;

  constructor(root: string) {
    super(root);
    this.#root = root;
  }

  protected async write(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void> {
    const path = join(this.#path(runId, version), name);
    await makeDirectory(dirname(path));
    if (file instanceof Uint8Array) await writeAtomically(path, file, { sync: false });
    else await linkOrCopy(file.path, path);
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    return readFile(join(this.#path(runId, version), name)).catch(absent);
  }

  protected async bring(runId: string, version: number, name: string, path: string): Promise<Brought | undefined> {
    return linkOrCopy(join(this.#path(runId, version), name), path).then(() => ({ digest: () => hashFile(path) }), absent);
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    const path = join(this.#path(runId, version), name);
    await rm(path, { force: true });
    // The directory goes with its last file.
    for (let at = dirname(path); at.startsWith(this.#path(runId, version)); at = dirname(at))
      if (
        !(await rmdir(at).then(
          () => true,
          () => false,
        ))
      )
        return;
  }

  protected async namesOf(runId: string, version: number): Promise<string[]> {
    const found = await readdir(this.#path(runId, version), { recursive: true, withFileTypes: true }).catch(() => []);
    return found
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name).slice(this.#path(runId, version).length + 1));
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    const versions = (await readdir(join(this.#root, runId)).catch(() => [])).filter((version) => /^\d+$/.test(version)).map(Number);
    const found = await Promise.all(versions.map((version) => stat(join(this.#path(runId, version), name)).catch(absent)));
    return versions.filter((_, i) => found[i]);
  }

  protected async removeRun(runId: string): Promise<void> {
    await rm(join(this.#root, runId), { recursive: true, force: true });
  }

  #path(runId: string, version: number): string {
    return join(this.#root, runId, String(version));
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
