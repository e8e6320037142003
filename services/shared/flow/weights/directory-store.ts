import { lstat, readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { hashFile } from "../../base/hash-file.js";
import { linkOrCopy } from "../../base/link-or-copy.js";
import { makeDirectory } from "../../base/make-directory.js";
import { writeAtomically } from "../../base/write-atomically.js";
import { WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";
import { manifestName } from "./manifest.js";
import { isMemory, type WeightMemory } from "./weight-memory.js";

/**
 * Versions in a directory that all roles share: `<root>/<run>/<version>/<file>`. Who stores or fetches shares the files
 * themselves, by hard links.
 *
 * Nothing is synced to the disk, which would take as long again as all the rest: after a power cut a version may be torn. Its
 * digests tell, and the learner that takes the run over stores again what is still asked for.
 */
export class DirectoryStore extends BlobStore {
  readonly #root: string;
  readonly #memory: WeightMemory | undefined;

  /** @param memory for the versions of runs, where there is room; their directories are links then. Default: none */
  constructor(root: string, memory?: WeightMemory) {
    super(root);
    this.#root = root;
    this.#memory = memory;
  }

  override async stage(runId: string, fence: bigint, bytes?: number): Promise<string> {
    const directory = join(this.#root, runId);
    // What was in memory is gone when the machine has started again.
    if (await isDangling(directory)) await rm(directory, { force: true });
    if (bytes !== undefined) await this.#memory?.offer(directory, runId, bytes);
    const staged = await super.stage(runId, fence);
    await this.#memory?.giveSpares(runId, staged);
    return staged;
  }

  override async isInMemory(runId: string): Promise<boolean> {
    return (await this.#memory?.has(join(this.#root, runId), runId)) ?? false;
  }

  override async settle(runId: string): Promise<void> {
    if (!(await this.isInMemory(runId))) return;
    // What lies on a disk must be known by its digests.
    for (const version of await this.list(runId)) {
      const manifest = await this.manifest(runId, version);
      if (manifest) await this.write(runId, version, manifestName, toBinary(WeightsManifestSchema, manifest));
    }
    await this.#memory?.settle(join(this.#root, runId), runId);
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
    const isSame = await linkOrCopy(join(this.#path(runId, version), name), path).catch(absent);
    if (isSame === undefined) return undefined;
    return { digest: () => hashFile(path), isSure: isSame && this.#memory !== undefined && (await isMemory(path)) };
  }

  protected override async digestOf(runId: string, version: number, name: string): Promise<string | undefined> {
    // On a disk its bytes may not be those that were stored.
    return (await this.isInMemory(runId)) ? hashFile(join(this.#path(runId, version), name)).catch(absent) : undefined;
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    const path = join(this.#path(runId, version), name);
    const isKept = (await this.isInMemory(runId)) && (await this.#memory?.keepSpare(runId, name, path));
    if (!isKept) await rm(path, { force: true });
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
    await this.#memory?.remove(runId);
    await rm(join(this.#root, runId), { recursive: true, force: true });
  }

  #path(runId: string, version: number): string {
    return join(this.#root, runId, String(version));
  }
}

const isDangling = async (path: string): Promise<boolean> =>
  (await lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  )) && !(await stat(path).catch(absent));

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
