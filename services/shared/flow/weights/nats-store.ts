import { type ObjectStore, Objm } from "@nats-io/obj";
import type { Streams } from "../../base/streams/connection.js";
import { BlobStore } from "./blob-store.js";

/** Size of the pieces in which files travel: far below NATS's largest message, and fast. */
const chunkBytes = 1024 * 1024;

/** How long a file may take. */
const timeoutMs = 120_000;

/** Versions in NATS's object store, for roles that share no directory: one bucket per run, `<version>/<file>` in it. */
export class NatsStore extends BlobStore {
  readonly #objects: Objm;
  readonly #buckets = new Map<string, Promise<ObjectStore>>();

  constructor(streams: Streams) {
    super();
    this.#objects = new Objm(streams.js);
  }

  protected async write(runId: string, version: number, name: string, bytes: Uint8Array): Promise<void> {
    const bucket = await this.#bucket(runId);
    await bucket.putBlob({ name: `${version}/${name}`, options: { max_chunk_size: chunkBytes } }, bytes, { timeout: timeoutMs });
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    const bucket = await this.#bucket(runId);
    return (await bucket.getBlob(`${version}/${name}`)) ?? undefined;
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    const bucket = await this.#bucket(runId);
    await bucket.delete(`${version}/${name}`);
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    const bucket = await this.#bucket(runId);
    const kept = (await bucket.list()).filter(({ deleted }) => !deleted).map((object) => object.name.split("/"));
    return kept.flatMap(([version, file]) => (file === name ? [Number(version)] : []));
  }

  #bucket(runId: string): Promise<ObjectStore> {
    const bucket = this.#buckets.get(runId) ?? this.#objects.create(`retort_weights_${runId}`);
    this.#buckets.set(runId, bucket);
    // One that could not be opened is tried again.
    bucket.catch(() => this.#buckets.delete(runId));
    return bucket;
  }
}
