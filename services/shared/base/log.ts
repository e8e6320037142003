import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { type DestinationStream, type Logger, pino } from "pino";
import { traceFields } from "./tracing.js";

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
