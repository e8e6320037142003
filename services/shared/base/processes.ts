import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Whether a process runs whose command line has these words: its id alone may be another program's by now. */
export async function isRunning(pid: number, words: string): Promise<boolean> {
  const { stdout } = await run("ps", ["-o", "args=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.includes(words);
}

/** Ends a process that its parent has left behind: politely, then not. Gives whether there was one. */
export async function endLeftover(pid: number, words: string, graceMs: number): Promise<boolean> {
  if (!(await isRunning(pid, words))) return false;
  process.kill(pid, "SIGTERM");
  for (const started = Date.now(); await isRunning(pid, words); await sleep(100))
    if (Date.now() - started > graceMs) process.kill(pid, "SIGKILL");
  return true;
}

/** Settles when the process that started this one is gone: the system has then given it another parent. */
export async function parentGone(): Promise<void> {
  for (const parent = process.ppid; process.ppid === parent; ) await sleep(500, undefined, { ref: false });
}
