import { prettyFactory } from "pino-pretty";
import type { ProcessLog } from "../../shared/gen/retort/v1/controller_pb.js";
import { type Out, styleFor } from "../terminal/style.js";

/** One line of a process's log. */
export interface LogLine {
  /** The process: its file's name, or its pod's. */
  readonly name: string;
  readonly role: string;
  readonly line: string;
  /** Milliseconds since 1970; where a line doesn't say, that of the line before it. */
  readonly timeMs: number;
}

/** The lines of what logs end with, as far as the time before hasn't shown them, in the order of their times. */
export class LogTail {
  readonly #texts = new Map<string, string>();

  /** The lines that are new in the logs' ends. Where more was written than an end holds, a line says that some are missing. */
  next(logs: readonly Pick<ProcessLog, "name" | "role" | "text">[]): LogLine[] {
    const lines = logs.flatMap(({ name, role, text }) => {
      // A last line that isn't whole yet comes with its end.
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      const before = this.#texts.get(name);
      this.#texts.set(name, whole);
      const added = addedTo(before ?? "", whole) ?? `… lines are missing here …\n${whole}`;
      return timed(added.split("\n").filter(Boolean)).map((line): LogLine => ({ name, role, ...line }));
    });
    return lines.sort((a, b) => a.timeMs - b.timeMs);
  }
}

function timed(lines: readonly string[]): { readonly line: string; readonly timeMs: number }[] {
  let timeMs = 0;
  return lines.map((line) => {
    timeMs = recordOf(line)?.time ?? timeMs;
    return { line, timeMs };
  });
}

/** What the end of a log has that its end earlier hadn't, both whole lines; undefined if the two don't touch. */
export function addedTo(before: string, now: string): string | undefined {
  if (before === "" || now === "") return now;
  const first = now.slice(0, now.indexOf("\n") + 1);
  for (let at = before.indexOf(first); at >= 0; at = before.indexOf(first, at + 1)) {
    const kept = before.slice(at);
    if (now.startsWith(kept)) return now.slice(kept.length);
  }
  return undefined;
}

/** A line as people read it: time, level, process, sentence and what belongs to it. What is no record of ours stays as it is. */
export function linesForPeople(out: Out): (line: LogLine) => string {
  // What the stream is given in colour, or not, decides for pino-pretty, too.
  const colorize = styleFor(out).bold("x") !== "x";
  const pretty = prettyFactory({ colorize, ignore: "pid,hostname", translateTime: "HH:MM:ss", singleLine: true });
  return ({ name, line }) => {
    const record = recordOf(line);
    return record ? pretty({ ...record, name }).trimEnd() : `${name}: ${line}`;
  };
}

function recordOf(line: string): { readonly time: number } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const record = JSON.parse(line) as { time?: unknown };
    return typeof record.time === "number" ? { ...record, time: record.time } : undefined;
  } catch {
    // What a library writes may begin like a record.
    return undefined;
  }
}
