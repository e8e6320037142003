import { readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { hashFile } from "../../base/hash-file.js";
import { linkOrCopy } from "../../base/link-or-copy.js";
import { makeDirectory } from "../../base/make-directory.js";
import { writeAtomically } from "../../base/write-atomically.js";
import { WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";
import { bootId } from "./boot.js";
import { manifestName } from "./manifest.js";
import { SpareFiles } from "./spare-files.js";

/** How a directory is shared. */
export interface SharedDirectory {
  /**
   * All processes that store and fetch are on one machine: a version may be stored without digests, which holds until the machine starts
   * again, and new versions are written over those that are gone. Default false.
   */
  readonly oneMachine?: boolean;
}

/** Directory of a run's files that new versions are written over, and the file with the boot in which it was last stored. */
const [sparesName, bootName] = [".spare", ".boot"];

/**
 * Versions in a directory that all roles share: `<root>/<run>/<version>/<file>`. Who stores or fetches shares the files
 * themselves, by hard links.
 *
 * Nothing is synced to the disk, which would take as long again as all the rest: after a power cut a version may be torn. Its
 * digests tell, or that it has none, and the learner that takes the run over stores again what is still asked for.
 */
export class DirectoryStore extends BlobStore {
  readonly #root: string;
  /** Undefined where versions without digests can't be told from torn ones. */
  readonly #boot: Promise<string | undefined>;

  constructor(root: string, { oneMachine = false }: SharedDirectory = {}) {
    super(root);
    this.#root = root;
    this.#boot = oneMachine ? bootId() : Promise.resolve(undefined);
  }

  override async stage(runId: string, fence: bigint): Promise<string> {
    const staged = await super.stage(runId, fence);
    const boot = await this.#boot;
    if (boot === undefined) return staged;
    if ((await this.#storedIn(runId)) !== boot) {
      for (const version of await this.list(runId)) if (await this.isUnhashed(runId, version)) await this.delete(runId, version);
      await writeAtomically(join(this.#root, runId, bootName), Buffer.from(boot), { sync: false });
    }
    await this.#spares(runId).give(staged);
    return staged;
  }

  /** The boot in which a run was last stored without digests. */
  #storedIn(runId: string): Promise<string | undefined> {
    return readFile(join(this.#root, runId, bootName), "utf8").catch(absent);
  }

  override async needsDigests(runId: string): Promise<boolean> {
    const boot = await this.#boot;
    return boot === undefined || (await this.#storedIn(runId)) !== boot;
  }

  override async settle(runId: string): Promise<void> {
    if (await this.needsDigests(runId)) return;
    // They hold beyond the machine's next start.
    for (const version of await this.list(runId)) {
      const manifest = await this.manifest(runId, version);
      if (manifest) await this.write(runId, version, manifestName, toBinary(WeightsManifestSchema, manifest));
    }
    await rm(join(this.#root, runId, bootName), { force: true });
    await this.#spares(runId).remove();
  }

  #spares(runId: string): SpareFiles {
    return new SpareFiles(join(this.#root, runId, sparesName));
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
    return { digest: () => hashFile(path), isSame };
  }

  protected override async digestOf(runId: string, version: number, name: string): Promise<string | undefined> {
    // Behind a power cut its bytes may not be those that were stored.
    return (await this.needsDigests(runId)) ? undefined : hashFile(join(this.#path(runId, version), name)).catch(absent);
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    const path = join(this.#path(runId, version), name);
    const isKept = !(await this.needsDigests(runId)) && (await this.#spares(runId).keep(name, path));
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
    await rm(join(this.#root, runId), { recursive: true, force: true });
  }

  #path(runId: string, version: number): string {
    return join(this.#root, runId, String(version));
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
