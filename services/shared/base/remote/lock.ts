import { open, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../processes.js";

const pollMs = 500;

/**
 * Runs work that one process of this machine may do at a time: others wait. What a process that is gone has locked is free.
 *
 * @param path of the lock's file, which is there as long as the work goes on
 */
export async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const owner = `${hostname()} ${process.pid}`;
  for (;;) {
    try {
      const file = await open(path, "wx");
      await file.writeFile(owner).finally(() => file.close());
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (await isAbandoned(path)) await rm(path, { force: true });
      else await sleep(pollMs);
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const [host, pid] = (await readFile(path, "utf8").catch(() => "")).split(" ");
  if (host !== hostname() || !pid) return false;
  return !isAlive(Number(pid));
}
