import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { RetortError } from "../../shared/base/errors.js";

/** A file that is on its way here, written piece by piece in order. */
export class IncomingFile {
  readonly digest: string;
  readonly size: number;
  /** When somebody asked for it or sent some of it, in milliseconds since 1970. */
  activeMs = Date.now();
  readonly #path: string;
  #last: Promise<unknown> = Promise.resolve();
  #hash: Hash | undefined;
  #hashed = 0;

  constructor(path: string, digest: string, size: number) {
    [this.#path, this.digest, this.size] = [path, digest, size];
  }

  /** First byte that isn't there. */
  offset(): Promise<number> {
    return this.#inTurn(async () => {
      this.activeMs = Date.now();
      const there = await sizeOf(this.#path);
      if (there <= this.size) return there;
      await rm(this.#path, { force: true });
      return 0;
    });
  }

  /**
   * Writes a piece that follows on what is there; of another one nothing is taken.
   *
   * @param keep is given the file's path when the file is whole and what it should be
   * @returns the first byte that isn't there
   * @throws InvalidArgument for more bytes than the file has; DataLoss if the whole file isn't what was said: it is to be sent again
   */
  write(offset: number, data: Uint8Array, keep: (path: string) => Promise<void>): Promise<number> {
    return this.#inTurn(async () => {
      this.activeMs = Date.now();
      const there = await sizeOf(this.#path);
      if (offset !== there) return there;
      const end = offset + data.length;
      if (end > this.size)
        throw new RetortError("InvalidArgument", `the piece ends at byte ${end}, and the file ${this.digest} has ${this.size}`, {
          fieldPath: "data",
        });
      const hash = await this.#upTo(there);
      const file = await open(this.#path, "a");
      try {
        await file.appendFile(data);
        if (end === this.size) await file.sync();
      } finally {
        await file.close();
      }
      hash.update(data);
      this.#hashed = end;
      if (end === this.size) await this.#finish(hash, keep);
      return end;
    });
  }

  async #finish(hash: Hash, keep: (path: string) => Promise<void>): Promise<void> {
    this.#hash = undefined;
    const digest = hash.digest("hex");
    if (digest === this.digest) return keep(this.#path);
    await rm(this.#path, { force: true });
    throw new RetortError(
      "DataLoss",
      `what came as the file ${this.digest} has the digest ${digest}; it was changed while it was sent: send it again`,
    );
  }

  /** The hash of what is there, read again where another process, or a piece that failed, has written it. */
  async #upTo(bytes: number): Promise<Hash> {
    if (this.#hash && this.#hashed === bytes) return this.#hash;
    const hash = createHash("sha256");
    if (bytes > 0) for await (const piece of createReadStream(this.#path, { end: bytes - 1 })) hash.update(piece as Buffer);
    this.#hash = hash;
    return hash;
  }

  /** One at a time: several callers may send the same file. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );
