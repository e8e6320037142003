import { mkdir, open, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { type FileBytes, gather } from "../../base/file-bytes.js";
import { writeAtomically } from "../../base/write-atomically.js";
import { BlobStore } from "./blob-store.js";

/** Bytes of one read. */
const readBytes = 4 * 1024 * 1024;

/** Versions in a directory that all roles share: `<root>/<run>/<version>/<file>`. */
export class DirectoryStore extends BlobStore {
  readonly #root: string;

  constructor(root: string) {
    super();
    this.#root = root;
  }

  protected async write(runId: string, version: number, name: string, bytes: FileBytes): Promise<void> {
    await mkdir(this.#path(runId, version), { recursive: true });
    // On the disk before the name is: a power cut must not leave a whole manifest over half a file.
    await writeAtomically(join(this.#path(runId, version), name), bytes);
  }

  protected async read(runId: string, version: number, name: string): Promise<FileBytes | undefined> {
    const path = join(this.#path(runId, version), name);
    const file = await open(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return undefined;
    });
    if (!file) return undefined;
    try {
      const { size } = await file.stat();
      return await gather(size, file.createReadStream({ autoClose: false, highWaterMark: readBytes }), path);
    } finally {
      await file.close();
    }
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    await rm(join(this.#path(runId, version), name), { force: true });
    // The directory goes with its last file.
    await rmdir(this.#path(runId, version)).catch(() => {});
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    const found = await readdir(join(this.#root, runId), { recursive: true }).catch(() => []);
    return found.flatMap((path) => (path.endsWith(`/${name}`) ? [Number(path.split("/")[0])] : []));
  }

  protected async removeRun(runId: string): Promise<void> {
    await rm(join(this.#root, runId), { recursive: true, force: true });
  }

  #path(runId: string, version: number): string {
    return join(this.#root, runId, String(version));
  }
}
