/** What memory processes hold, as Linux tells of it under /proc; elsewhere nothing is known and `undefined` is returned. */
import { readdirSync, readFileSync } from "node:fs";

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // the process has ended, or this isn't Linux
  }
};

const kilobytes = (text: string | undefined, name: string): number | undefined => {
  const found = text?.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
};

/** Most bytes that a process has ever held (VmHWM). */
export const peakRss = (pid: number): number | undefined => kilobytes(read(`/proc/${pid}/status`), "VmHWM");

/** Bytes that a process holds now. */
export const rss = (pid: number): number | undefined => kilobytes(read(`/proc/${pid}/status`), "VmRSS");

/**
 * Watches how much memory of its own a process has, from now until it is asked: what it holds less the pages of mapped files, which the
 * system takes back as it needs them.
 *
 * @returns most bytes that were seen
 */
export function watchOwnMemory(pid: number, everyMs = 20): () => number | undefined {
  let most: number | undefined;
  const look = () => {
    const now = kilobytes(read(`/proc/${pid}/status`), "RssAnon");
    if (now !== undefined) most = Math.max(most ?? 0, now);
  };
  const timer = setInterval(look, everyMs);
  return () => {
    look();
    clearInterval(timer);
    return most;
  };
}

/** Processes below one, without itself. */
export function descendants(ancestor: number): number[] {
  const parents = new Map<number, number>();
  for (const name of read("/proc/self/stat") ? readdirSync("/proc") : []) {
    const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : undefined;
    // The name stands in parentheses and may hold anything.
    if (stat) parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === ancestor || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow);
}

/** Most memory of several processes. */
export interface SummedPeaks {
  /** Sum of each one's own peak, whenever it was: of those that still live. */
  readonly sumOfPeaks: number;
  /** Peak of the sum of what they held at one time, sampled; pages that two share count twice. */
  readonly peakOfSum: number;
  /** The same with shared pages shared out (PSS), read where the sum above is 2 % more than when it was read last. */
  readonly peakPss: number;
}

/** Watches the memory of all that a process starts, from now until it is asked. */
export function watchMemory(ancestor: number, everyMs = 100): () => SummedPeaks {
  const peaks = new Map<number, number>();
  let [peakOfSum, peakPss, readAt] = [0, 0, 0];
  const look = () => {
    const pids = descendants(ancestor);
    let sum = 0;
    for (const pid of pids) {
      sum += rss(pid) ?? 0;
      peaks.set(pid, peakRss(pid) ?? 0);
    }
    // PSS takes a walk over the page tables, which isn't for every tick.
    if (sum > readAt * 1.02) {
      readAt = sum;
      const pss = pids.reduce((total, pid) => total + (kilobytes(read(`/proc/${pid}/smaps_rollup`), "Pss") ?? 0), 0);
      peakPss = Math.max(peakPss, pss);
    }
    peakOfSum = Math.max(peakOfSum, sum);
  };
  const timer = setInterval(look, everyMs);
  return () => {
    look();
    clearInterval(timer);
    const sumOfPeaks = descendants(ancestor).reduce((sum, pid) => sum + (peaks.get(pid) ?? 0), 0);
    return { sumOfPeaks, peakOfSum, peakPss };
  };
}
