import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import { RetortError } from "../../base/errors.js";
import { chunksOf, type FileBytes, gather, piecesOf } from "../../base/file-bytes.js";
import { isApiError, type Streams } from "../../base/streams/connection.js";
import { BlobStore } from "./blob-store.js";

// Digests are Node's own: those in JavaScript, the client's default, take ten times as long.
setSha256Backend("native");

/** Size of the pieces in which files travel: far below NATS's largest message, and fast. */
const chunkBytes = 1024 * 1024;

/** How long a piece may take. */
const timeoutMs = 120_000;

const bucketName = (runId: string): string => `retort_weights_${runId}`;

/** Versions in NATS's object store, for roles that share no directory: one bucket per run, `<version>/<file>` in it. */
export class NatsStore extends BlobStore {
  readonly #objects: Objm;
  readonly #buckets = new Map<string, Promise<ObjectStore>>();

  constructor(streams: Streams) {
    super();
    this.#objects = new Objm(streams.js);
  }

  protected async write(runId: string, version: number, name: string, bytes: FileBytes): Promise<void> {
    const bucket = await this.#bucket(runId);
    const chunks = ReadableStream.from(chunksOf(piecesOf(bytes), chunkBytes)) as ReadableStream<Uint8Array>;
    await bucket.put({ name: `${version}/${name}`, options: { max_chunk_size: chunkBytes } }, chunks, { timeout: timeoutMs });
  }

  protected async read(runId: string, version: number, name: string): Promise<FileBytes | undefined> {
    const found = await (await this.#existing(runId))?.get(`${version}/${name}`);
    if (!found) return undefined;
    const bytes = await gather(found.info.size, found.data, `version ${version} of run ${runId}: ${name}`);
    const failed = await found.error;
    if (failed) throw new RetortError("DataLoss", `version ${version} of run ${runId}: ${name} cannot be read: ${failed.message}`);
    return bytes;
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    await (await this.#existing(runId))?.delete(`${version}/${name}`);
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    const bucket = await this.#existing(runId);
    if (!bucket) return [];
    const kept = (await bucket.list()).filter(({ deleted }) => !deleted).map((object) => object.name.split("/"));
    return kept.flatMap(([version, file]) => (file === name ? [Number(version)] : []));
  }

  protected async removeRun(runId: string): Promise<void> {
    await (await this.#existing(runId))?.destroy();
    this.#buckets.delete(runId);
  }

  /** A run's bucket if it has one: one that is only read must not be made, or it would outlive its run. */
  async #existing(runId: string): Promise<ObjectStore | undefined> {
    try {
      return await this.#objects.open(bucketName(runId));
    } catch (error) {
      if (isApiError(error, "streamNotFound") || (error as Error).message.includes("not found")) return undefined;
      throw error;
    }
  }

  #bucket(runId: string): Promise<ObjectStore> {
    const bucket = this.#buckets.get(runId) ?? this.#objects.create(bucketName(runId));
    this.#buckets.set(runId, bucket);
    // One that could not be opened is tried again.
    bucket.catch(() => this.#buckets.delete(runId));
    return bucket;
  }
}
