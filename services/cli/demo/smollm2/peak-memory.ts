import { readdir, readFile } from "node:fs/promises";

/** Peak resident memory of the roles that this process has started, in bytes, by role. */
export type PeakMemory = Readonly<Record<string, number>>;

const everyMs = 500;

/** A process, as Linux tells of it. */
interface ProcessFacts {
  readonly parent: number;
  readonly role: string | undefined;
  /** The most that it has had resident, in bytes. */
  readonly peak: number;
}

/**
 * Watches the memory of the processes below this one, each by its role (`--role=`), until it is asked to stop.
 *
 * @returns a function that stops it and gives the largest process of each role; nothing where the system has no /proc
 */
export function watchMemory(): () => Promise<PeakMemory> {
  const peaks: Record<string, number> = {};
  let looking = Promise.resolve();
  const look = async () => {
    for (const { role, peak } of await below(process.pid)) if (role) peaks[role] = Math.max(peaks[role] ?? 0, peak);
  };
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await looking;
    return peaks;
  };
}

/** The processes that a process has started, and those that these have. */
async function below(pid: number): Promise<ProcessFacts[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = new Map<number, ProcessFacts>();
  for (const one of pids) {
    const facts = await factsOf(one);
    if (facts) all.set(one, facts);
  }
  const isBelow = (one: number): boolean => {
    const parent = all.get(one)?.parent;
    return parent !== undefined && (parent === pid || isBelow(parent));
  };
  return [...all].filter(([one]) => isBelow(one)).map(([, facts]) => facts);
}

/** What Linux says of a process; undefined once it is gone. */
async function factsOf(pid: number): Promise<ProcessFacts | undefined> {
  const [status, line] = await Promise.all(["status", "cmdline"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "")));
  const [, parent] = /^PPid:\s*(\d+)/m.exec(status ?? "") ?? [];
  const [, peak = "0"] = /^VmHWM:\s*(\d+) kB/m.exec(status ?? "") ?? [];
  const [, role] = /\0--role=([a-z]+)/.exec(line ?? "") ?? [];
  return parent === undefined ? undefined : { parent: Number(parent), role, peak: 1024 * Number(peak) };
}
