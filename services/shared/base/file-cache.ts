import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RetortError } from "./errors.js";

/** What a cache of files is made with; `now` is the clock, in milliseconds since 1970. */
export interface FileCacheOptions {
  /** Bytes that all entries together may take on the disk. */
  readonly maxBytes: number;
  readonly now: () => number;
}

/** What a look-up found; `corrupt`: an entry whose bytes are not those that were stored. It is gone now. */
export type Lookup = { readonly kind: "hit"; readonly bytes: Uint8Array } | { readonly kind: "miss" } | { readonly kind: "corrupt" };

interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly usedMs: number;
}

const digestBytes = 32;
/** What is freed beyond the need, so that not every entry scans the directory. */
const freeShare = 0.1;
/** A full cache is looked through again after so long; a temporary file is abandoned after so long. */
const rescanMs = 30_000;
const abandonedMs = 3_600_000;

/**
 * Values by key in a directory, each a file of its own under a byte limit. Every file carries the SHA-256 of its value, so
 * that a torn or altered one is found out. Files are written beside their names and renamed: any number of processes may
 * share a directory.
 *
 * When it is full, entries that no process has used since this one started make room, the longest unused first. An entry
 * that was used since stays, and the new one is not stored: a process that goes over the same data again and again finds what
 * fits each time, where least-recently-used alone would find nothing.
 */
export class FileCache {
  readonly #root: string;
  readonly #options: FileCacheOptions;
  readonly #startedMs: number;
  #bytes = 0;
  #written = 0;
  #scannedMs = 0;

  private constructor(root: string, options: FileCacheOptions) {
    this.#root = root;
    this.#options = options;
    this.#startedMs = options.now();
  }

  /** Opens a directory, which is made if it is not there. @throws FailedPrecondition if it cannot be written */
  static async open(root: string, options: FileCacheOptions): Promise<FileCache> {
    await mkdir(root, { recursive: true }).catch((error: Error) => {
      throw new RetortError("FailedPrecondition", `the cache directory ${root} cannot be made: ${error.message}`, { cause: error });
    });
    const cache = new FileCache(root, options);
    await cache.#sweep(0);
    return cache;
  }

  /** Bytes on the disk, as far as this process knows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Looks a key up: hexadecimal, at least 4 digits. */
  async get(key: string): Promise<Lookup> {
    const path = this.#path(key);
    const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!file) return { kind: "miss" };
    const bytes = file.subarray(digestBytes);
    if (!sha256(bytes).equals(file.subarray(0, digestBytes))) {
      await rm(path, { force: true });
      this.#bytes -= file.length;
      return { kind: "corrupt" };
    }
    const now = this.#options.now() / 1000;
    // Another process may have taken it away meanwhile, which is no matter.
    await utimes(path, now, now).catch(() => undefined);
    return { kind: "hit", bytes };
  }

  /** Stores a value. False if there is no room for it. */
  async put(key: string, value: Uint8Array): Promise<boolean> {
    const size = digestBytes + value.length;
    const { maxBytes, now } = this.#options;
    // Others write here too: what they wrote is seen at the next look through the directory.
    const unsure = this.#written > maxBytes / 32;
    if (unsure || (this.#bytes + size > maxBytes && now() - this.#scannedMs > rescanMs)) await this.#sweep(size);
    if (this.#bytes + size > maxBytes) return false;
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(Buffer.concat([sha256(value), value]));
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    this.#bytes += size;
    this.#written += size;
    return true;
  }

  /** Looks through the directory, and makes room for `size` bytes if there is none. */
  async #sweep(size: number): Promise<void> {
    const { maxBytes, now } = this.#options;
    const entries = await this.#entries();
    this.#bytes = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#written = 0;
    this.#scannedMs = now();
    if (this.#bytes + size <= maxBytes) return;
    const unused = entries.filter(({ usedMs }) => usedMs < this.#startedMs).sort((a, b) => a.usedMs - b.usedMs);
    for (const { path, bytes } of unused) {
      if (this.#bytes + size <= maxBytes * (1 - freeShare)) return;
      await rm(path, { force: true });
      this.#bytes -= bytes;
    }
  }

  async #entries(): Promise<Entry[]> {
    const found: Entry[] = [];
    for (const part of await readdir(this.#root)) {
      for (const name of await readdir(join(this.#root, part)).catch(() => [])) {
        const path = join(this.#root, part, name);
        const info = await stat(path).catch(() => undefined);
        if (!info) continue;
        if (!name.endsWith(".tmp")) found.push({ path, bytes: info.size, usedMs: info.mtimeMs });
        else if (this.#options.now() - info.mtimeMs > abandonedMs) await rm(path, { force: true });
      }
    }
    return found;
  }

  #path(key: string): string {
    return join(this.#root, key.slice(0, 2), key.slice(2));
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
