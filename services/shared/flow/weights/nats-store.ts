import { createReadStream } from "node:fs";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import { RetortError } from "../../base/errors.js";
import { chunksOf } from "../../base/file-bytes.js";
import { isApiError, type Streams } from "../../base/streams/connection.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";
import { writeStream } from "./write-stream.js";

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

  /** @param scratch as of {@link BlobStore} */
  constructor(streams: Streams, scratch: string) {
    super(scratch);
    this.#objects = new Objm(streams.js);
  }

  protected async write(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void> {
    const bucket = await this.#bucket(runId);
    const pieces = file instanceof Uint8Array ? chunksOf(file, chunkBytes) : createReadStream(file.path, { highWaterMark: chunkBytes });
    const chunks = ReadableStream.from(pieces) as ReadableStream<Uint8Array>;
    await bucket.put({ name: `${version}/${name}`, options: { max_chunk_size: chunkBytes } }, chunks, { timeout: timeoutMs });
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    return (await (await this.#existing(runId))?.getBlob(`${version}/${name}`)) ?? undefined;
  }

  protected async bring(runId: string, version: number, name: string, path: string): Promise<Brought | undefined> {
    const found = await (await this.#existing(runId))?.get(`${version}/${name}`);
    if (!found) return undefined;
    const what = `version ${version} of run ${runId}: ${name}`;
    // The client hears of what is wrong twice: in the stream, and here.
    const failed = found.error.catch((error: Error) => error);
    const digest = await writeStream(path, found.info.size, found.data, what).catch(async (error: unknown) => {
      // What its own code throws has no code of the system's.
      if (error instanceof RetortError || (error as NodeJS.ErrnoException).code !== undefined) throw error;
      throw new RetortError("DataLoss", `${what} cannot be read: ${(error as Error).message}`);
    });
    const error = await failed;
    if (error) throw new RetortError("DataLoss", `${what} cannot be read: ${error.message}`);
    return { digest: async () => digest };
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    await (await this.#existing(runId))?.delete(`${version}/${name}`);
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    return (await this.#names(runId)).flatMap(([version, file]) => (file === name ? [Number(version)] : []));
  }

  protected async namesOf(runId: string, version: number): Promise<string[]> {
    return (await this.#names(runId)).flatMap(([of, ...path]) => (of === String(version) ? [path.join("/")] : []));
  }

  /** The names of all that a run has, taken apart at their slashes. */
  async #names(runId: string): Promise<string[][]> {
    const bucket = await this.#existing(runId);
    return bucket ? (await bucket.list()).filter(({ deleted }) => !deleted).map((object) => object.name.split("/")) : [];
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
