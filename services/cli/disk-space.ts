import { setTimeout as sleep } from "node:timers/promises";
import { freeBytes } from "../shared/base/free-bytes.js";

/** A disk with less counts as full, in bytes. */
const neededBytes = 16 * 1024 * 1024;

/** Waits until the disk of a directory has space, or the signal comes. Returns whether it was full. */
export async function waitForSpace(directory: string, signal: AbortSignal, onFull: () => void = () => {}): Promise<boolean> {
  if (await hasSpace(directory)) return false;
  onFull();
  while (!signal.aborted && !(await hasSpace(directory))) await sleep(1000, undefined, { ref: false, signal }).catch(() => {});
  return true;
}

async function hasSpace(directory: string): Promise<boolean> {
  const free = await freeBytes(directory);
  return free === undefined || free >= neededBytes;
}
