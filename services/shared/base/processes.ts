import { execFile } from "node:child_process";
import { fstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RetortError } from "./errors.js";

const run = promisify(execFile);

/** Whether a process of this id runs, of any user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's may not be signalled, and is there.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Whether a process runs whose command line has all of these words: its id alone may be another program's by now. */
export async function isRunning(pid: number, ...words: readonly string[]): Promise<boolean> {
  const line = await commandLine(pid);
  return line !== "" && words.every((word) => line.includes(word));
}

/** A process's program and arguments, with spaces between; empty if there is no such process, or it has ended. */
async function commandLine(pid: number): Promise<string> {
  const own = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);
  if (own !== undefined) return own.replaceAll("\0", " ");
  const { stdout } = await run("ps", ["-ww", "-o", "args=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout;
}

/**
 * Ends a process that its parent has left behind: politely, then not. Returns whether there was one.
 *
 * @throws FailedPrecondition if it cannot be ended
 */
export async function endLeftover(pid: number, words: readonly string[], graceMs: number): Promise<boolean> {
  if (!(await isRunning(pid, ...words))) return false;
  signal(pid, "SIGTERM");
  for (const started = Date.now(); await isRunning(pid, ...words); await sleep(100)) {
    const waited = Date.now() - started;
    if (waited > 2 * graceMs + 1000)
      throw new RetortError("FailedPrecondition", `process ${pid}, which was left behind, does not end; end it, then try again`);
    if (waited > graceMs) signal(pid, "SIGKILL");
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It may have ended meanwhile.
    if (code !== "ESRCH")
      throw new RetortError(
        "FailedPrecondition",
        `process ${pid}, which was left behind, cannot be ended (${code}); end it, then try again`,
      );
  }
}

/**
 * Settles when the process that started this one is gone. Where standard input is a pipe of the parent's, the system
 * closes it; else the system has given this process another parent.
 */
export async function parentGone(): Promise<void> {
  if (hasPipe()) {
    await new Promise<void>((gone) => {
      const over = () => gone();
      process.stdin.once("end", over).once("close", over).once("error", over).resume();
      // Waiting for this alone keeps no process alive.
      (process.stdin as Partial<Pick<Socket, "unref">>).unref?.();
    });
    return;
  }
  for (const parent = process.ppid; process.ppid === parent; ) await sleep(500, undefined, { ref: false });
}

/** Whether standard input is a pipe, or the socket that Node makes of one. */
function hasPipe(): boolean {
  try {
    const found = fstatSync(0);
    return found.isFIFO() || found.isSocket();
  } catch {
    return false;
  }
}
