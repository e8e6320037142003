import { createReadStream } from "node:fs";
import type { JetStreamClient, PubAck } from "@nats-io/jetstream";
import { type ObjectInfo, type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import pRetry from "p-retry";
import { RetortError } from "../../base/errors.js";
import { chunksOf } from "../../base/file-bytes.js";
import { found } from "../../base/found.js";
import { isApiError, type Streams } from "../../base/streams/connection.js";
import { outlast } from "../../base/streams/outlast.js";
import { read, readNewest } from "../../base/streams/read-all.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";
import { writeStream } from "./write-stream.js";

// Digests are Node's own: those in JavaScript, the client's default, take ten times as long.
setSha256Backend("native");

/** Size of the pieces in which files travel: far below NATS's largest message, and fast. */
const chunkBytes = 1024 * 1024;

/** Bytes of a file that are read at once: the client joins what it has not sent with what comes, and copies both. */
const readBytes = 8 * chunkBytes;

/** Pieces that are on their way at once. */
const mostInFlight = 4;

/** Pieces that come at once, and lie in memory. */
const mostComing = 16;

/** How long a piece may take before the file is written anew: one that a lost server was to store is never answered. */
const timeoutMs = 30_000;

const whatOf = (runId: string, version: number, name: string): string => `version ${version} of run ${runId}: ${name}`;

const bucketName = (runId: string): string => `retort_weights_${runId}`;

/** Versions in NATS's object store, for roles that share no directory: one bucket per run, `<version>/<file>` in it. */
export class NatsStore extends BlobStore {
  readonly #streams: Streams;
  readonly #reads: Objm;
  readonly #writes: Objm;
  readonly #buckets = new Map<string, Promise<ObjectStore>>();

  /** @param scratch as of {@link BlobStore} */
  constructor(streams: Streams, scratch: string) {
    super(scratch);
    this.#streams = streams;
    this.#reads = new Objm(streams.reads.js);
    this.#writes = new Objm(streams.js);
  }

  protected write(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void> {
    // Whoever waits for room does so itself.
    return outlast(this.#streams, whatOf(runId, version, name), () => this.#writeOnce(runId, version, name, file), { full: false });
  }

  async #writeOnce(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void> {
    await this.#bucket(runId);
    const bucket = await new Objm(severalInFlight(this.#streams.js)).open(bucketName(runId), false);
    const pieces = file instanceof Uint8Array ? chunksOf(file, chunkBytes) : createReadStream(file.path, { highWaterMark: readBytes });
    const chunks = ReadableStream.from(pieces) as ReadableStream<Uint8Array>;
    await bucket.put({ name: `${version}/${name}`, options: { max_chunk_size: chunkBytes } }, chunks, { timeout: timeoutMs });
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    const once = async () => (await this.#existing(runId))?.getBlob(`${version}/${name}`);
    return (await outlast(this.#streams, whatOf(runId, version, name), once)) ?? undefined;
  }

  protected async bring(runId: string, version: number, name: string, path: string): Promise<Brought | undefined> {
    const once = () => outlast(this.#streams, whatOf(runId, version, name), () => this.#bringOnce(runId, version, name, path));
    if ((this.#streams.replicas ?? 1) === 1) return once();
    // A server that is behind has some of the pieces: the others come.
    const behind = ({ error }: { error: Error }) => RetortError.from(error).code === "DataLoss";
    return pRetry(once, { retries: 8, minTimeout: 50, maxTimeout: 2000, shouldRetry: behind });
  }

  async #bringOnce(runId: string, version: number, name: string, path: string): Promise<Brought | undefined> {
    const info = await (await this.#existing(runId))?.info(`${version}/${name}`);
    if (!info || info.deleted) return undefined;
    const what = whatOf(runId, version, name);
    const digest = await writeStream(path, info.size, this.#pieces(runId, info), what);
    const stored = Buffer.from(info.digest.slice("SHA-256=".length), "base64url");
    if (!digest.equals(stored)) throw new RetortError("DataLoss", `${what} cannot be read: its bytes aren't those that were stored`);
    return { digest: async () => digest.toString("hex") };
  }

  /** An object's bytes as they are taken: the client's own reader holds all that the disk is too slow for. */
  async *#pieces(runId: string, { nuid }: ObjectInfo): AsyncGenerator<Uint8Array> {
    const bucket = bucketName(runId);
    const pieces = read(this.#streams, `OBJ_${bucket}`, `$O.${bucket}.C.${nuid}`, { together: mostComing });
    for await (const { data } of pieces) yield data;
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    const once = async () => (await this.#existing(runId, this.#writes))?.delete(`${version}/${name}`);
    await outlast(this.#streams, whatOf(runId, version, name), once);
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    return (await this.#names(runId)).flatMap(([version, file]) => (file === name ? [Number(version)] : []));
  }

  protected async namesOf(runId: string, version: number): Promise<string[]> {
    return (await this.#names(runId)).flatMap(([of, ...path]) => (of === String(version) ? [path.join("/")] : []));
  }

  /** The names of all that a run has, taken apart at their slashes. */
  async #names(runId: string): Promise<string[][]> {
    const bucket = bucketName(runId);
    const objects = await readNewest(this.#streams, `OBJ_${bucket}`, `$O.${bucket}.M.>`);
    return [...objects.values()].flatMap((data) => {
      const { name, deleted } = JSON.parse(Buffer.from(data).toString()) as Pick<ObjectInfo, "name" | "deleted">;
      return deleted ? [] : [name.split("/")];
    });
  }

  protected async removeRun(runId: string): Promise<void> {
    await outlast(this.#streams, bucketName(runId), async () => (await this.#existing(runId, this.#writes))?.destroy());
    this.#buckets.delete(runId);
  }

  /** A run's bucket if it has one: one that is only read must not be made, or it would outlive its run. */
  async #existing(runId: string, objects = this.#reads): Promise<ObjectStore | undefined> {
    try {
      return await objects.open(bucketName(runId));
    } catch (error) {
      if (isApiError(error, "streamNotFound") || (error as Error).message.includes("not found")) return undefined;
      throw error;
    }
  }

  #bucket(runId: string): Promise<ObjectStore> {
    const { replicas } = this.#streams;
    const bucket = this.#buckets.get(runId) ?? this.#writes.create(bucketName(runId), replicas ? { replicas } : {});
    this.#buckets.set(runId, bucket);
    // One that could not be opened is tried again.
    bucket.catch(() => this.#buckets.delete(runId));
    return bucket;
  }
}

/**
 * A client that one object is written with: it goes on with the next piece while the server stores those before, and has all of
 * them stored before it says what the object is. A piece is answered by the newest acknowledgement.
 */
function severalInFlight(js: JetStreamClient): JetStreamClient {
  const waiting: Promise<PubAck>[] = [];
  let newest: PubAck | undefined;
  const wait = async (most: number) => {
    while (waiting.length > most) newest = await waiting.shift();
  };
  const publish: JetStreamClient["publish"] = async (subject, payload, options) => {
    try {
      if (!isPiece(subject)) {
        await wait(0);
        return await js.publish(subject, payload, options);
      }
      waiting.push(js.publish(subject, payload, options));
      // The caller that waits for it is told what is wrong.
      waiting.at(-1)?.catch(() => {});
      await wait(newest ? mostInFlight - 1 : 0);
      return found(newest, "an acknowledgement");
    } catch (error) {
      // The client clears away what has come: none may come after that.
      await Promise.allSettled(waiting);
      throw error;
    }
  };
  return new Proxy(js, {
    get(target, key) {
      if (key === "publish") return publish;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const isPiece = (subject: string): boolean => /^\$O\.[^.]+\.C\./.test(subject);
