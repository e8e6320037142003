import type { ChildProcess } from "node:child_process";
import { RetortError, type RetortErrorData } from "./errors.js";
import { lastErrorIn } from "./log.js";

/** Where a role's process serves. */
export interface Serving {
  readonly host: string;
  readonly grpcPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Of the controller: the page, and calls of browsers and curl. */
  readonly httpPort?: number;
  /** Of a role that serves OpenAI's API too. */
  readonly openaiPort?: number;
}

/** What a role's process tells the one that started it, once: where it serves, or why it does not. */
export type Readiness = { readonly serving: Serving } | { readonly error: RetortErrorData };

/**
 * Tells the process that started this one, over the IPC channel that it gave (`ipc` in the `stdio` of `spawn`), and closes
 * the channel: from then on neither process's end means anything to the other. Without a channel, or with a parent that is
 * gone, it does nothing.
 */
export async function tellParent(readiness: Readiness): Promise<void> {
  if (!process.connected) return;
  // The parent may be gone by now: it then has no use for this.
  await new Promise<void>((told) => process.send?.(readiness, undefined, undefined, () => told()));
  if (process.connected) process.disconnect();
}

/** How a child is waited for. */
export interface ReadyOptions {
  /** Its log, whose last error is the reason where it has ended without a word. */
  readonly log?: string;
  /** How long it may take; without it, as long as it needs. */
  readonly timeoutMs?: number;
}

/**
 * Waits until a child that was started with an IPC channel says that it serves. To be called right after `spawn`: what the
 * child says before is lost.
 *
 * @throws the child's own reason; FailedPrecondition if it ended without one; DeadlineExceeded if it takes too long
 */
export async function whenServing(child: ChildProcess, { log, timeoutMs }: ReadyOptions = {}): Promise<Serving> {
  const readiness = await readinessOf(child, timeoutMs);
  if (readiness === "late")
    throw new RetortError("DeadlineExceeded", `process ${child.pid} did not serve within ${timeoutMs} ms${log ? `; see ${log}` : ""}`);
  if (readiness === undefined) throw new RetortError("FailedPrecondition", await wordsOf(log));
  if ("error" in readiness) throw RetortError.fromData(readiness.error);
  return readiness.serving;
}

/** Undefined where the channel closes without a word: the child has ended, or could not be started. */
function readinessOf(child: ChildProcess, timeoutMs: number | undefined): Promise<Readiness | "late" | undefined> {
  return new Promise((resolve, reject) => {
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => resolve("late"), timeoutMs);
    const settle = (readiness: Readiness | undefined) => {
      clearTimeout(timer);
      resolve(readiness);
    };
    if (!child.connected) settle(undefined);
    child.once("message", (message) => settle(message as Readiness));
    // Comes after every message, however the child ends.
    child.once("disconnect", () => settle(undefined));
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new RetortError("Unavailable", `a process could not be started: ${error.message}`, { cause: error }));
    });
  });
}

async function wordsOf(log: string | undefined): Promise<string> {
  if (!log) return "it ended before it served";
  return (await lastErrorIn(log)) ?? `it ended before it served; see ${log}`;
}
