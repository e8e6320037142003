import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../base/errors.js";
import { type FileBytes, lengthOf, sliceOf, updateHash } from "../../base/file-bytes.js";
import { type WeightsManifest, WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import type { WeightStore, WeightsFiles } from "./store.js";

const manifestName = "manifest.binpb";

/**
 * A weight store over anything that keeps bytes under names. The order of writes makes versions whole: while a version
 * is replaced or removed its manifest is away, and a manifest is written after the files that it lists.
 */
export abstract class BlobStore implements WeightStore {
  /** Stores bytes whole or not at all, in place of what had the name. */
  protected abstract write(runId: string, version: number, name: string, bytes: FileBytes): Promise<void>;
  /** The bytes; undefined if nothing has the name. */
  protected abstract read(runId: string, version: number, name: string): Promise<FileBytes | undefined>;
  /** Harmless if nothing has the name. */
  protected abstract remove(runId: string, version: number, name: string): Promise<void>;
  /** Removes all that is stored under a run, half-written versions too. */
  protected abstract removeRun(runId: string): Promise<void>;
  /** The versions of a run under which a file of this name is stored, in any order. */
  protected abstract versionsWith(runId: string, name: string): Promise<number[]>;

  async put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest> {
    const stored = await this.manifest(runId, version);
    if (stored && stored.fence > fence) throw olderFence(runId, version, stored.fence, fence);
    if (stored) await this.#removeAll(stored);
    for (const [name, bytes] of files) await this.write(runId, version, name, bytes);
    const manifest = create(WeightsManifestSchema, {
      runId,
      version,
      fence,
      created: timestampNow(),
      files: [...files].map(([name, bytes]) => ({ name, sizeBytes: BigInt(lengthOf(bytes)), digest: sha256(bytes) })),
    });
    await this.write(runId, version, manifestName, toBinary(WeightsManifestSchema, manifest));
    return manifest;
  }

  async manifest(runId: string, version: number): Promise<WeightsManifest | undefined> {
    const bytes = await this.read(runId, version, manifestName);
    return bytes && manifestOf(runId, version, sliceOf(bytes, 0, lengthOf(bytes)));
  }

  async get(runId: string, version: number, wanted: (name: string) => boolean = () => true): Promise<WeightsFiles> {
    const manifest = await this.manifest(runId, version);
    if (!manifest) throw new RetortError("NotFound", `run ${runId} has no stored version ${version}`);
    const files = new Map<string, FileBytes>();
    for (const { name, digest } of manifest.files.filter(({ name }) => wanted(name))) {
      const bytes = await this.read(runId, version, name);
      if (!bytes) throw new RetortError("NotFound", `version ${version} of run ${runId} was deleted while it was read`);
      if (sha256(bytes) !== digest) throw wrongDigest(runId, version, name);
      files.set(name, bytes);
    }
    return files;
  }

  async list(runId: string): Promise<number[]> {
    return (await this.versionsWith(runId, manifestName)).sort((a, b) => a - b);
  }

  async delete(runId: string, version: number): Promise<void> {
    const manifest = await this.manifest(runId, version);
    if (manifest) await this.#removeAll(manifest);
  }

  async bytes(runId: string): Promise<number> {
    const manifests = await Promise.all((await this.list(runId)).map((version) => this.manifest(runId, version)));
    return manifests.flatMap((manifest) => manifest?.files ?? []).reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
  }

  async deleteAll(runId: string): Promise<void> {
    for (const version of await this.list(runId)) await this.delete(runId, version);
    await this.removeRun(runId);
  }

  async #removeAll({ runId, version, files }: WeightsManifest): Promise<void> {
    for (const name of [manifestName, ...files.map((file) => file.name)]) await this.remove(runId, version, name);
  }
}

/** Reads a manifest. @throws DataLoss if it is none, another version's, or names files that do not lie beside it */
function manifestOf(runId: string, version: number, bytes: Uint8Array): WeightsManifest {
  const what = `the manifest of run ${runId} version ${version}`;
  const refused = (why: string) => new RetortError("DataLoss", `${what} ${why}; the version was damaged or tampered with: use another one`);
  const manifest = readRecord(WeightsManifestSchema, bytes);
  if (manifest.runId !== runId || manifest.version !== version) throw refused("is another version's");
  if (manifest.files.some(({ name }) => !isFileName(name))) throw refused("names a file that does not lie beside it");
  return manifest;
}

/** Most bytes of one name, as file systems have it. */
const mostNameBytes = 255;

/** True for names of files that are in a version's own directory, or below it. */
const isFileName = (name: string): boolean =>
  name !== manifestName &&
  !name.includes("\0") &&
  name.split(/[/\\]/).every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= mostNameBytes);

const sha256 = (bytes: FileBytes): string => updateHash(createHash("sha256"), bytes).digest("hex");

/** A learner that was replaced tries to store a version. */
const olderFence = (runId: string, version: number, stored: bigint, own: bigint): RetortError =>
  new RetortError("Aborted", `version ${version} of run ${runId} was stored by a later learner (fence ${stored}, ours ${own})`, {
    retry: "never",
  });

/** A stored file is not what its manifest says. */
const wrongDigest = (runId: string, version: number, name: string): RetortError =>
  new RetortError("DataLoss", `run ${runId} version ${version}: ${name} does not have the digest of its manifest`);
