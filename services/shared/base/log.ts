import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { type DestinationStream, type Logger, pino } from "pino";
import { endOfFile } from "./end-of-file.js";
import { traceFields } from "./trace-fields.js";

/** A structured log; fields first, then the sentence. */
export type Log = Logger;

/** How a process logs; `level` is one of pino's. */
export interface LogOptions {
  readonly level: string;
  /** Lines of JSON, or lines for people. */
  readonly format: "json" | "pretty";
}

/** A log on standard error (standard output belongs to results), with the role's name and the trace at hand in every line. */
export function createLog(name: string, { level, format }: LogOptions): Log {
  return pino({ name, level, mixin: traceFields }, format === "pretty" ? linesForPeople() : lossyDestination(2));
}

/** Loads what it needs only where it is used: it takes longer than the rest of a small process's start. */
function linesForPeople(): DestinationStream {
  const pretty = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
  return pretty({ destination: 2, sync: true, ignore: "pid,hostname", translateTime: "HH:MM:ss" });
}

/** How long a reader of the log that is slow may hold the process up, line by line. */
const patienceMs = 1000;

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes lines to a file descriptor at once. A line that cannot be written (a full disk, a closed terminal) is dropped; the
 * first one that can be written again is preceded by one that says how many are missing.
 *
 * @param write as `fs.writeSync`
 */
export function lossyDestination(fd: number, write: (fd: number, bytes: Uint8Array) => number = writeSync): { write(line: string): void } {
  let [dropped, reason] = [0, ""];
  const put = (line: string): void => {
    let rest: Uint8Array = Buffer.from(line);
    for (const deadline = Date.now() + patienceMs; rest.length > 0; ) {
      try {
        rest = rest.subarray(write(fd, rest));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || Date.now() > deadline) throw error;
        Atomics.wait(pause, 0, 0, 10);
      }
    }
  };
  return {
    write: (line) => {
      try {
        if (dropped)
          put(
            `\n${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg: `${dropped} lines of this log are missing: ${reason}` })}\n`,
          );
        dropped = 0;
        put(line);
      } catch (error) {
        dropped++;
        reason = (error as Error).message;
      }
    },
  };
}

/** From this level on a line is an error. */
const errorLevel = 50;

/** Finds the last error in a log of JSON lines that comes in pieces. */
export class ErrorFinder {
  readonly #decoder = new TextDecoder();
  #line = "";
  #last: string | undefined;

  /** Reads the next piece; a line may go on in the one after it. */
  read(piece: Uint8Array): void {
    const lines = (this.#line + this.#decoder.decode(piece, { stream: true })).split("\n");
    this.#line = (lines.pop() ?? "").slice(-longestLine);
    for (const line of lines) this.#last = errorOf(line) ?? this.#last;
  }

  /** The message of the last error so far; undefined if there was none. */
  get last(): string | undefined {
    return errorOf(this.#line) ?? this.#last;
  }
}

/** Characters of an unfinished line that are kept. */
const longestLine = 1 << 16;

/** The message of a line that is an error. What a crashing runtime prints, which isn't JSON, is as good a reason as any. */
function errorOf(line: string): string | undefined {
  try {
    const { level, msg } = JSON.parse(line) as { readonly level?: unknown; readonly msg?: unknown };
    return Number(level) >= errorLevel ? String(msg) : undefined;
  } catch {
    return line.includes("Error") ? line : undefined;
  }
}

/** The message of the last error in a log of JSON lines, or in the end of one. */
export function lastError(text: string): string | undefined {
  const finder = new ErrorFinder();
  finder.read(Buffer.from(text));
  return finder.last;
}

/** Bytes at a log file's end that are searched. */
const searchedBytes = 1 << 18;

/** The message of the last error near the end of a log file; undefined if there is none, or the file cannot be read. */
export async function lastErrorIn(path: string): Promise<string | undefined> {
  const text = await endOfFile(path, searchedBytes).catch(() => undefined);
  return text === undefined ? undefined : lastError(text);
}
