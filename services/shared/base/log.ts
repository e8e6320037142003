import { type Logger, pino } from "pino";
import pretty from "pino-pretty";
import { traceFields } from "./tracing.js";

/** A structured log; fields first, then the sentence. */
export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** Lines of JSON, or lines for people. */
  readonly format: "json" | "pretty";
}

/** A log on standard error (standard output belongs to results), with the role's name and the trace at hand in every line. */
export function createLog(name: string, { level, format }: LogOptions): Log {
  const stream =
    format === "pretty"
      ? pretty({ destination: 2, sync: true, ignore: "pid,hostname", translateTime: "HH:MM:ss" })
      : pino.destination({ dest: 2, sync: true });
  return pino({ name, level, mixin: traceFields }, stream);
}
