import { bytesInWords } from "./bytes-in-words.js";
import { RetortError } from "./errors.js";
import { freeBytes } from "./free-bytes.js";

/** What needs room on a disk. */
export interface Need {
  /** What takes the room, in the singular: "the model". */
  readonly what: string;
  /** What must stay free besides, in bytes. Default: nothing. */
  readonly spareBytes?: number;
  /** What can be done about it. Default: "make room, or name a directory elsewhere". */
  readonly wayOut?: string;
}

/**
 * Checks that there is room for what is going to be written, before anything is.
 *
 * @throws FailedPrecondition naming the directory and both sizes
 */
export async function checkRoom(
  directory: string,
  bytes: number,
  { what, spareBytes = 0, wayOut = "make room, or name a directory elsewhere" }: Need,
): Promise<void> {
  const free = await freeBytes(directory);
  if (free === undefined || free >= bytes + spareBytes) return;
  throw new RetortError(
    "FailedPrecondition",
    `${directory} has ${bytesInWords(free)} free, and ${what} needs ${bytesInWords(bytes + spareBytes)}; ${wayOut}`,
  );
}
