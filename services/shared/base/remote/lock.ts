import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../processes.js";

/**
 * How often a holder shows that it lives, for how long it may show nothing, and how often one that waits looks. The holder may be on another
 * machine, or in another container.
 */
const defaultLease = { renewMs: 5000, expiryMs: 60_000, pollMs: 500 };

/** Tells this process from others with its id: in a container that was started again that is often the same. */
const life = randomUUID();

/**
 * Runs work that one process may do at a time, of all that share a directory: others wait. What a process that is gone has locked is
 * free: at once if it was of this machine, and else when it has shown no life for a while.
 *
 * @param path of the lock's file, which is there as long as the work goes on
 */
export async function locked<T>(path: string, work: () => Promise<T>, { renewMs, expiryMs, pollMs } = defaultLease): Promise<T> {
  const owner = `${hostname()} ${process.pid} ${life}`;
  const seen = { state: "", since: 0 };
  while (!(await take(path, owner))) {
    const holder = await holderOf(path);
    if (!holder) continue;
    const state = `${holder.owner} ${holder.shownMs}`;
    // By this process's own clock: another machine's may be wrong.
    if (seen.state !== state) Object.assign(seen, { state, since: performance.now() });
    if (isGone(holder.owner) || performance.now() - seen.since > expiryMs) await release(path, holder.owner);
    else await sleep(pollMs);
  }
  const showing = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, renewMs);
  try {
    return await work();
  } finally {
    clearInterval(showing);
    await release(path, owner);
  }
}

async function take(path: string, owner: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.writeFile(owner).finally(() => file.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

/** Who holds a lock, and when it has last shown that it lives; undefined if it is free. */
async function holderOf(path: string): Promise<{ readonly owner: string; readonly shownMs: number } | undefined> {
  const [owner, shown] = await Promise.all([readFile(path, "utf8"), stat(path)]).catch(() => []);
  return owner === undefined || shown === undefined ? undefined : { owner, shownMs: shown.mtimeMs };
}

/** True for a process of this machine that has ended. */
function isGone(owner: string): boolean {
  const [host, pid, itsLife] = owner.split(" ");
  if (host !== hostname() || !pid) return false;
  return Number(pid) === process.pid ? itsLife !== life : !isAlive(Number(pid));
}

/** Frees a lock that has this owner. Taken away first and looked at then: meanwhile another process may have freed it and locked it itself. */
async function release(path: string, owner: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, "utf8").catch(() => owner)) !== owner) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}
