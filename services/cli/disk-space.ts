import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../shared/base/errors.js";
import { freeBytes } from "../shared/base/free-bytes.js";
import { bytesInWords } from "./bytes.js";

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

/**
 * Checks that there is room for what is going to be written, before anything is.
 *
 * @param what what takes the room, in the plural
 * @throws FailedPrecondition naming the directory and both sizes
 */
export async function checkRoom(directory: string, bytes: number, what: string): Promise<void> {
  const free = await freeBytes(directory);
  if (free === undefined || free >= bytes) return;
  throw new RetortError(
    "FailedPrecondition",
    `${directory} has ${bytesInWords(free)} free, and ${what} take ${bytesInWords(bytes)}; make room, or name a directory elsewhere`,
  );
}
