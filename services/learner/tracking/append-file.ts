import { copyFile, type FileHandle, open, rename } from "node:fs/promises";

/** Most bytes that wait to be written, such as for room on a full disk. */
const mostPending = 64 * 2 ** 20;

/**
 * A file that grows by whole pieces. Pieces that could not be written are written with the next, at the place where they belong, so
 * a full disk leaves no hole and no half of one.
 */
export class AppendFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #size: number;
  #pending: Uint8Array[] = [];
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, handle: FileHandle, size: number) {
    this.path = path;
    this.#handle = handle;
    this.#size = size;
  }

  /**
   * Opens a file to go on behind its first bytes. The file becomes another one of that name: a process that still has it open, a learner
   * that was replaced, writes into the old one.
   *
   * @param keep how many bytes stay; 0 begins an empty file
   */
  static async open(path: string, keep: number): Promise<AppendFile> {
    const temporary = `${path}.${process.pid}.tmp`;
    if (keep > 0) await copyFile(path, temporary);
    const handle = await open(temporary, keep > 0 ? "r+" : "w");
    await handle.truncate(keep);
    await rename(temporary, path);
    return new AppendFile(path, handle, keep);
  }

  /**
   * Adds a piece, behind those of earlier calls.
   *
   * @throws what the system says, where it could not be written; it is kept for the next call
   */
  append(piece: Uint8Array): Promise<void> {
    this.#pending.push(piece);
    const written = this.#last.then(() => this.#write());
    this.#last = written.catch(() => {});
    return written;
  }

  async #write(): Promise<void> {
    // An earlier call may have taken this one's piece along.
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    try {
      for (let done = 0; done < bytes.length; )
        done += (await this.#handle.write(bytes, done, bytes.length - done, this.#size + done)).bytesWritten;
    } catch (error) {
      // A reader must not take a part for a whole.
      await this.#handle.truncate(this.#size).catch(() => {});
      if (bytes.length <= mostPending) this.#pending.unshift(bytes);
      throw error;
    }
    this.#size += bytes.length;
  }

  /** All that was written is on the disk. */
  sync(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
