import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../base/errors.js";
import { makeDirectory } from "../../base/make-directory.js";
import { type WeightsFile, type WeightsManifest, WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { manifestName, manifestOf } from "./manifest.js";
import type { Placed, VersionFile, WeightStore } from "./store.js";

/** Directories of learners that store versions, and of readers that keep them, beside the versions of a run. */
const stagePrefix = ".new-";
const holdingPrefix = ".held-";

/**
 * A weight store over anything that keeps files under names. The order of writes makes versions whole: while a version
 * is replaced or removed its manifest is away, and a manifest is written after the files that it lists.
 */
export abstract class BlobStore implements WeightStore {
  readonly #scratch: string;

  /** @param scratch directory of this machine for what is on its way in and out: `<scratch>/<run>/…` */
  constructor(scratch: string) {
    this.#scratch = scratch;
  }

  /** Stores a file whole or not at all, in place of what had the name. @param file a path with its size, or its bytes */
  protected abstract write(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void>;
  /** The bytes of a small file; undefined if nothing has the name. */
  protected abstract read(runId: string, version: number, name: string): Promise<Uint8Array | undefined>;
  /** Brings a file to a path that is free; undefined if nothing has the name. */
  protected abstract bring(runId: string, version: number, name: string, path: string): Promise<Brought | undefined>;
  /** Harmless if nothing has the name. */
  protected abstract remove(runId: string, version: number, name: string): Promise<void>;
  /** The names of all that is stored under a version. */
  protected abstract namesOf(runId: string, version: number): Promise<string[]>;
  /** Removes all that is stored under a run, half-written versions too. */
  protected abstract removeRun(runId: string): Promise<void>;
  /** SHA-256 of a file that was stored without its digest, hexadecimal; undefined if nothing has the name. */
  protected async digestOf(_runId: string, _version: number, _name: string): Promise<string | undefined> {
    return undefined;
  }
  /** The versions of a run under which a file of this name is stored, in any order. */
  protected abstract versionsWith(runId: string, name: string): Promise<number[]>;

  async stage(runId: string, fence: bigint): Promise<string> {
    const own = join(this.#scratch, runId);
    for (const name of await readdir(own).catch(() => []))
      if (name.startsWith(stagePrefix) && BigInt(name.slice(stagePrefix.length)) <= fence)
        await rm(join(own, name), { recursive: true, force: true });
    const directory = join(own, `${stagePrefix}${fence}`);
    await makeDirectory(directory);
    return directory;
  }

  async settle(_runId: string): Promise<void> {}

  holding(runId: string, name: string): string {
    return join(this.#scratch, runId, `${holdingPrefix}${name}`);
  }

  async put(runId: string, version: number, files: readonly VersionFile[], fence: bigint): Promise<WeightsManifest> {
    const stored = await this.#undamaged(runId, version);
    if (stored && stored.fence > fence) throw olderFence(runId, version, stored.fence, fence);
    if (stored) await this.#removeAll(stored);
    for (const { name, path, sizeBytes } of files) await this.write(runId, version, name, { path, sizeBytes });
    const manifest = create(WeightsManifestSchema, {
      runId,
      version,
      fence,
      created: timestampNow(),
      files: files.map(({ name, sizeBytes, digest }) => ({ name, sizeBytes: BigInt(sizeBytes), digest })),
    });
    await this.write(runId, version, manifestName, toBinary(WeightsManifestSchema, manifest));
    return manifest;
  }

  async needsDigests(_runId: string): Promise<boolean> {
    return true;
  }

  async manifest(runId: string, version: number): Promise<WeightsManifest | undefined> {
    const manifest = await this.#manifest(runId, version);
    const unhashed = manifest?.files.filter(({ digest }) => digest === "") ?? [];
    if (!manifest || unhashed.length === 0) return manifest;
    for (const file of unhashed) file.digest = (await this.digestOf(runId, version, file.name)) ?? "";
    if (await this.#isReplaced(manifest)) return this.manifest(runId, version);
    const lost = unhashed.find(({ digest }) => digest === "");
    if (lost) throw notAsSaid(manifest, lost.name, "digest");
    return manifest;
  }

  /** Whether a version was stored without digests. One whose manifest cannot be read is removed. */
  protected async isUnhashed(runId: string, version: number): Promise<boolean> {
    return (await this.#undamaged(runId, version))?.files.some(({ digest }) => digest === "") ?? false;
  }

  /** As it is stored. */
  async #manifest(runId: string, version: number): Promise<WeightsManifest | undefined> {
    const bytes = await this.read(runId, version, manifestName);
    return bytes && manifestOf(runId, version, bytes);
  }

  async fetch(runId: string, version: number, directory: string, wanted?: (name: string) => boolean): Promise<WeightsManifest> {
    const { manifest, checked } = await this.place(runId, version, directory, wanted);
    await checked;
    return manifest;
  }

  async place(runId: string, version: number, directory: string, wanted: (name: string) => boolean = () => true): Promise<Placed> {
    const manifest = await this.#manifest(runId, version);
    if (!manifest) throw new RetortError("NotFound", `run ${runId} has no stored version ${version}`);
    await makeDirectory(directory);
    const checks: (() => Promise<void>)[] = [];
    let isAnySure = false;
    for (const file of manifest.files.filter(({ name }) => wanted(name))) {
      const path = join(directory, file.name);
      await makeDirectory(dirname(path));
      const brought = await this.bring(runId, version, file.name, path);
      if (!brought) throw deleted(manifest);
      // A file that is mapped must not be shorter than it says.
      if (BigInt((await stat(path)).size) !== file.sizeBytes) throw await this.#damage(manifest, file.name, "size");
      // Of the very file nothing can have been lost since it was stored.
      if (file.digest === "" && brought.isSame && !(await this.needsDigests(runId))) isAnySure = true;
      else
        checks.push(async () => {
          const expected = file.digest || (await this.digestOf(runId, version, file.name));
          if ((await brought.digest()) !== expected) throw await this.#damage(manifest, file.name, "digest");
        });
    }
    // A manifest is away before the first of its files is replaced: while it is there, they are the files that it lists.
    if (isAnySure && (await this.#isReplaced(manifest))) throw deleted(manifest);
    const checked = inTurn(checks);
    // The caller that waits for it is told what is wrong.
    checked.catch(() => {});
    return { manifest, checked };
  }

  /** What is wrong with a file that isn't what a manifest says. */
  async #damage(manifest: WeightsManifest, name: string, what: "size" | "digest"): Promise<RetortError> {
    return (await this.#isReplaced(manifest)) ? deleted(manifest) : notAsSaid(manifest, name, what);
  }

  async list(runId: string): Promise<number[]> {
    return (await this.versionsWith(runId, manifestName)).sort((a, b) => a - b);
  }

  async delete(runId: string, version: number): Promise<void> {
    const manifest = await this.#undamaged(runId, version);
    if (manifest) await this.#removeAll(manifest);
  }

  async bytes(runId: string): Promise<number> {
    const manifests = await Promise.all((await this.list(runId)).map((version) => this.#manifest(runId, version)));
    return manifests.flatMap((manifest) => manifest?.files ?? []).reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
  }

  async deleteAll(runId: string): Promise<void> {
    for (const version of await this.list(runId)) await this.delete(runId, version);
    await this.removeRun(runId);
    await rm(join(this.#scratch, runId), { recursive: true, force: true });
  }

  /**
   * A version's manifest. One that cannot be read, as after a power cut, is removed with all that lies under its version: the
   * learner that takes over stores again what is still asked for.
   */
  async #undamaged(runId: string, version: number): Promise<WeightsManifest | undefined> {
    try {
      return await this.#manifest(runId, version);
    } catch (error) {
      if (RetortError.from(error).code !== "DataLoss") throw error;
      const names = (await this.namesOf(runId, version)).filter((name) => name !== manifestName);
      for (const name of [manifestName, ...names]) await this.remove(runId, version, name);
      return undefined;
    }
  }

  /** Whether a version is no longer the one that a manifest was read of. */
  async #isReplaced({ runId, version, fence, files }: WeightsManifest): Promise<boolean> {
    const now = await this.#manifest(runId, version);
    const isOther = ({ digest }: WeightsFile, i: number) => digest !== "" && digest !== files[i]?.digest;
    return now?.fence !== fence || now.files.length !== files.length || now.files.some(isOther);
  }

  async #removeAll({ runId, version, files }: WeightsManifest): Promise<void> {
    for (const name of [manifestName, ...files.map((file) => file.name)]) await this.remove(runId, version, name);
  }
}

/** A file that was brought to its reader. */
export interface Brought {
  /** Its SHA-256, hexadecimal. */
  digest(): Promise<string>;
  /** Whether it is the very file that is stored, and no copy. Default false. */
  readonly isSame?: boolean;
}

/** A file of this machine. */
export type LocalFile = Pick<VersionFile, "path" | "sizeBytes">;

/** A learner that was replaced tries to store a version. */
const olderFence = (runId: string, version: number, stored: bigint, own: bigint): RetortError =>
  new RetortError("Aborted", `version ${version} of run ${runId} was stored by a later learner (fence ${stored}, ours ${own})`, {
    retry: "never",
  });

/** A stored file is not what its manifest says. */
const notAsSaid = ({ runId, version }: WeightsManifest, name: string, what: string): RetortError =>
  new RetortError("DataLoss", `run ${runId} version ${version}: ${name} does not have the ${what} of its manifest`);

const deleted = ({ runId, version }: WeightsManifest): RetortError =>
  new RetortError("NotFound", `version ${version} of run ${runId} was deleted while it was read`);

/** Runs one piece of work after another. */
async function inTurn(work: readonly (() => Promise<void>)[]): Promise<void> {
  for (const piece of work) await piece();
}
