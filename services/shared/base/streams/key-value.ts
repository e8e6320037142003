import { type KV, Kvm } from "@nats-io/kv";
import { RetortError } from "../errors.js";
import { isApiError, type Streams } from "./connection.js";
import { purge } from "./ensure.js";
import { outlast } from "./outlast.js";
import { follow } from "./read.js";
import { readNewest } from "./read-all.js";

/** A value and the revision to name when it is changed by compare-and-set. */
export interface Entry {
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A key-value bucket. Operations outlast a server that goes away and comes back. Values must not be empty. */
export class KeyValue {
  readonly #streams: Streams;
  readonly #kv: KV;
  /** The same for reading. */
  readonly #reads: KV;
  readonly #bucket: string;

  private constructor(streams: Streams, kv: KV, reads: KV, bucket: string) {
    this.#streams = streams;
    this.#kv = kv;
    this.#reads = reads;
    this.#bucket = bucket;
  }

  /** Opens a bucket that keeps the newest value of each key; makes it if it is not there. */
  static async open(streams: Streams, bucket: string): Promise<KeyValue> {
    const { replicas } = streams;
    // A replica that is behind must not answer: what has been written is read.
    const copies = replicas === undefined ? {} : { replicas, allow_direct: replicas === 1 };
    const open = (kvm: Kvm) => outlast(streams, `bucket ${bucket}`, () => kvm.create(bucket, { history: 1, ...copies }));
    return new KeyValue(streams, await open(streams.kv), await open(new Kvm(streams.reads.js)), bucket);
  }

  /** Its newest value; undefined if there is none. */
  async get(key: string): Promise<Entry | undefined> {
    const entry = await this.#retrying(key, () => this.#reads.get(key));
    return entry?.operation === "PUT" ? { value: entry.value, revision: entry.revision } : undefined;
  }

  async put(key: string, value: Uint8Array | string): Promise<void> {
    await this.#retrying(key, () => this.#kv.put(key, value));
  }

  /** @throws AlreadyExists if the key has another value */
  async create(key: string, value: Uint8Array): Promise<void> {
    try {
      await this.#retrying(key, () => this.#kv.create(key, value));
    } catch (error) {
      if (!isApiError(error, "wrongLastSequence")) throw error;
      // The answer to an attempt that succeeded may have been lost.
      const stored = await this.get(key);
      if (stored && Buffer.compare(stored.value, value) === 0) return;
      throw new RetortError("AlreadyExists", `${key} exists already`, { cause: error });
    }
  }

  /**
   * Compare-and-set. If the answer to an attempt that succeeded is lost in an outage, this too is Aborted: one that
   * cannot tell its own write from another's must not believe that it won.
   *
   * @throws Aborted if the value is no longer of this revision: read it again, change it again
   */
  async update(key: string, value: Uint8Array, revision: number): Promise<void> {
    try {
      await this.#retrying(key, () => this.#kv.update(key, value, revision));
    } catch (error) {
      if (!isApiError(error, "wrongLastSequence")) throw error;
      throw new RetortError("Aborted", `${key} was changed by another process`, { cause: error });
    }
  }

  /** Removes a key, harmless if it is not there; with a revision only if its value is still that one. */
  async delete(key: string, revision?: number): Promise<void> {
    const options = revision === undefined ? {} : { previousSeq: revision };
    await this.#retrying(key, () => this.#kv.purge(key, options)).catch((error: unknown) => {
      if (revision === undefined || !isApiError(error, "wrongLastSequence")) throw error;
    });
  }

  /** Removes all keys that match a subject filter, with what marks them as deleted. */
  async erase(filter: string): Promise<void> {
    await this.#retrying(filter, () => purge(this.#streams, `KV_${this.#bucket}`, `$KV.${this.#bucket}.${filter}`));
  }

  /** The keys that match a subject filter; `>` for all. */
  async keys(filter = ">"): Promise<string[]> {
    const prefix = `$KV.${this.#bucket}.`;
    const newest = await readNewest(this.#streams, `KV_${this.#bucket}`, prefix + filter);
    // What marks a deletion is empty.
    return [...newest].flatMap(([subject, data]) => (data.length > 0 ? subject.slice(prefix.length) : []));
  }

  /** The values of a key, the current one first, until the signal. A value that is replaced at once may be skipped. */
  async *watch(key: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const { data } of follow(this.#streams, `KV_${this.#bucket}`, `$KV.${this.#bucket}.${key}`, 0, signal)) {
      // What marks a deletion is empty.
      if (data.length > 0) yield data;
    }
  }

  #retrying<T>(key: string, request: () => Promise<T>): Promise<T> {
    return outlast(this.#streams, `${this.#bucket}/${key}`, request);
  }
}
