import { statfs } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A disk with less counts as full, in bytes. */
const neededBytes = 16 * 1024 * 1024;

/** Waits until the disk of a directory has space, or the signal comes. Returns whether it was full. */
export async function waitForSpace(directory: string, signal: AbortSignal, onFull: () => void = () => {}): Promise<boolean> {
  if (await hasSpace(directory)) return false;
  onFull();
  while (!signal.aborted && !(await hasSpace(directory))) await sleep(1000, undefined, { ref: false, signal }).catch(() => {});
  return true;
}

/** A file system that counts no blocks, or cannot be asked, has no bound that is known. */
const hasSpace = (directory: string): Promise<boolean> =>
  statfs(directory).then(
    ({ blocks, bavail, bsize }) => blocks === 0 || bavail * bsize >= neededBytes,
    () => true,
  );
