import { createWriteStream, mkdirSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";

/** What a file of a log can be written with; `fs.createWriteStream`. */
export type OpenLog = (path: string) => WriteStream;

/** Bytes that may wait for a slow disk. */
const waitingBytes = 4 * 1024 * 1024;

/** Which file a log is, and who hears that it cannot be written. */
export interface ProcessLogOptions {
  readonly path: string;
  /** Called when output begins to be dropped, and once it is written again. */
  readonly say: (sentence: string) => void;
  /** After a failure the file is tried again after this. */
  readonly retryMs?: number;
  readonly open?: OpenLog;
}

/**
 * The log file of a process: what it prints is written as it comes. What cannot be written (a full disk, a directory that
 * is not there) is dropped and counted: neither the process nor this one waits for it, or ends because of it.
 */
export class ProcessLog {
  readonly #options: ProcessLogOptions;
  #stream: WriteStream | undefined;
  #dropped = 0;
  /** When a file that failed is tried again, in milliseconds. */
  #retryAt = 0;

  constructor(options: ProcessLogOptions) {
    this.#options = options;
    this.#stream = this.#open();
  }

  /** Bytes that were dropped since the file could last be written. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Appends a piece of output. */
  write(chunk: Uint8Array): void {
    if (!this.#stream && Date.now() >= this.#retryAt) this.#stream = this.#open();
    const stream = this.#stream;
    if (stream && stream.writableLength <= waitingBytes) this.#append(stream, chunk);
    else this.#drop(chunk.length, "the disk is slow");
  }

  #append(stream: WriteStream, chunk: Uint8Array): void {
    stream.write(chunk, (error) => {
      if (error) this.#drop(chunk.length, error.message);
      else if (this.#dropped) this.#recovered();
    });
  }

  /** Closes the file once what is under way is written. */
  end(): void {
    this.#stream?.end();
    this.#stream = undefined;
    this.#retryAt = Number.POSITIVE_INFINITY;
  }

  #open(): WriteStream {
    const stream = (this.#options.open ?? append)(this.#options.path);
    stream.on("error", () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#retryAt = Date.now() + (this.#options.retryMs ?? 5000);
    });
    return stream;
  }

  #drop(bytes: number, reason: string): void {
    if (this.#dropped === 0) this.#options.say(`${this.#options.path} cannot be written (${reason}); what the process prints is dropped`);
    this.#dropped += bytes;
  }

  #recovered(): void {
    this.#options.say(`${this.#options.path} can be written again; ${this.#dropped} bytes are missing`);
    this.#dropped = 0;
  }
}

/** Opens a file to append to; its directory is made, or opening it says why not. */
function append(path: string): WriteStream {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch {
    // The stream's own error names what is in the way.
  }
  return createWriteStream(path, { flags: "a" });
}
