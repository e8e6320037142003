import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { type ObjectStore, Objm } from "@nats-io/obj";
import { RetortError } from "../../base/errors.js";
import type { Streams } from "../../base/streams/connection.js";
import { type WeightsManifest, WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { olderFence, type WeightStore, type WeightsFiles, wrongDigest } from "./store.js";

const manifestName = "manifest";

/** Size of the pieces in which files travel: far below NATS's largest message, and fast. */
const chunkBytes = 1024 * 1024;

/** How long a file may take. */
const timeoutMs = 120_000;

/** Versions in NATS's object store, for roles that share no directory: one bucket per run, `<version>/<file>` in it. */
export class NatsStore implements WeightStore {
  readonly #objects: Objm;
  readonly #buckets = new Map<string, Promise<ObjectStore>>();

  constructor(streams: Streams) {
    this.#objects = new Objm(streams.js);
  }

  async put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest> {
    const stored = await this.manifest(runId, version);
    if (stored && stored.fence > fence) throw olderFence(runId, version, stored.fence, fence);
    // A version that is replaced does not exist meanwhile: its files and its manifest would not fit.
    await this.delete(runId, version);
    const bucket = await this.#bucket(runId);
    const put = (name: string, bytes: Uint8Array) =>
      bucket.putBlob({ name: `${version}/${name}`, options: { max_chunk_size: chunkBytes } }, bytes, { timeout: timeoutMs });
    for (const [name, bytes] of files) await put(name, bytes);
    const manifest = create(WeightsManifestSchema, {
      runId,
      version,
      fence,
      created: timestampNow(),
      files: [...files].map(([name, bytes]) => ({ name, sizeBytes: BigInt(bytes.length), digest: sha256(bytes) })),
    });
    await put(manifestName, toBinary(WeightsManifestSchema, manifest));
    return manifest;
  }

  async manifest(runId: string, version: number): Promise<WeightsManifest | undefined> {
    const bucket = await this.#bucket(runId);
    const bytes = await bucket.getBlob(`${version}/${manifestName}`);
    return bytes ? fromBinary(WeightsManifestSchema, bytes) : undefined;
  }

  async get(runId: string, version: number): Promise<WeightsFiles> {
    const manifest = await this.manifest(runId, version);
    if (!manifest) throw new RetortError("NotFound", `run ${runId} has no stored version ${version}`);
    const bucket = await this.#bucket(runId);
    const files = new Map<string, Uint8Array>();
    for (const { name, digest } of manifest.files) {
      const bytes = await bucket.getBlob(`${version}/${name}`);
      if (!bytes) throw new RetortError("NotFound", `version ${version} of run ${runId} was deleted while it was read`);
      if (sha256(bytes) !== digest) throw wrongDigest(runId, version, name);
      files.set(name, bytes);
    }
    return files;
  }

  async list(runId: string): Promise<number[]> {
    const bucket = await this.#bucket(runId);
    const names = (await bucket.list()).filter(({ deleted }) => !deleted).map(({ name }) => name.split("/"));
    return names
      .filter(([, name]) => name === manifestName)
      .map(([version]) => Number(version))
      .sort((a, b) => a - b);
  }

  async delete(runId: string, version: number): Promise<void> {
    const manifest = await this.manifest(runId, version);
    if (!manifest) return;
    const bucket = await this.#bucket(runId);
    // The manifest goes first: a version is never half there.
    for (const name of [manifestName, ...manifest.files.map((file) => file.name)]) await bucket.delete(`${version}/${name}`);
  }

  #bucket(runId: string): Promise<ObjectStore> {
    const bucket = this.#buckets.get(runId) ?? this.#objects.create(`retort_weights_${runId}`);
    this.#buckets.set(runId, bucket);
    // One that could not be opened is tried again.
    bucket.catch(() => this.#buckets.delete(runId));
    return bucket;
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
