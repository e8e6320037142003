import { type Hash, randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { chunksOf, updateHash } from "./file-bytes.js";

/** How a file is written. */
export interface WriteOptions {
  /** Takes all bytes, in another thread's time: while it computes, the system writes. */
  readonly hash?: Hash;
  /** Whether the bytes are on the disk before the name is, whatever happens to the machine. Default true. */
  readonly sync?: boolean;
  /**
   * Whether the file is written over the one that {@link spareOf} names, where there is one, instead of into room that the system would
   * have to find anew. No one else may read or write that. Default false.
   */
  readonly overSpare?: boolean;
}

/** Name of a file that is not needed any more, whose room the file of a name may take. */
export const spareOf = (name: string): string => `${name}.spare`;

/** Whether a file is one that {@link spareOf} names. */
export const isSpare = (name: string): boolean => name.endsWith(spareOf(""));

/** Bytes that are handed to the system at once: it writes about as long as a hash of them takes. */
const batchBytes = 8 * 2 ** 20;
/** Most arrays of one call into the system. */
const mostParts = 512;

/**
 * Writes beside the name, syncs, and renames: a reader sees the old file or the new one, never a part.
 *
 * @param bytes whole, or as parts that are taken one by one: the file may be larger than one array, or the memory, can be. Those
 *   of an array or another iterable must stay as they are until all is written; those that are waited for, until the next is asked for
 * @returns how many bytes the file has
 */
export async function writeAtomically(
  path: string,
  bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { hash, sync = true, overSpare = false }: WriteOptions = {},
): Promise<number> {
  // Two writers of one name, in one process too, must not write into each other's file.
  const temporary = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  let written = 0;
  try {
    const isOver = overSpare && (await takeSpare(path, temporary));
    const handle = await open(temporary, isOver ? "r+" : "w");
    try {
      for await (const batch of batchesOf(bytes)) {
        const writing = writeAll(handle, batch);
        if (hash) updateHash(hash, batch);
        written += await writing;
      }
      if (isOver) await handle.truncate(written);
      if (sync) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // A full disk must not stay full of half a file.
    await rm(temporary, { force: true });
    throw error;
  }
  return written;
}

/** Gives the spare file of a path another name; false if there is none. */
const takeSpare = (path: string, name: string): Promise<boolean> =>
  rename(spareOf(path), name).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );

/** Parts as lists for one call into the system: many small ones together, a large one in pieces. */
function batchesOf(bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  if (bytes instanceof Uint8Array) return batches([bytes]);
  return Symbol.iterator in bytes ? batches(bytes) : singles(bytes);
}

function* batches(parts: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let held = 0;
  for (const chunk of chunksOf(parts, batchBytes)) {
    if (batch.length > 0 && (held + chunk.length > batchBytes || batch.length === mostParts)) {
      yield batch;
      [batch, held] = [[], 0];
    }
    batch.push(chunk);
    held += chunk.length;
  }
  if (batch.length > 0) yield batch;
}

async function* singles(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  for await (const part of parts) for (const chunk of chunksOf(part, batchBytes)) yield [chunk];
}

/** One call may write less than it was given. Returns how many bytes there were. */
async function writeAll(handle: FileHandle, batch: readonly Uint8Array[]): Promise<number> {
  const total = batch.reduce((sum, { length }) => sum + length, 0);
  let { bytesWritten: done } = await handle.writev(batch);
  for (let rest = total - done, skip = done; rest > 0; rest = total - done, skip = done) {
    const bytes = firstBehind(batch, skip);
    done += (await handle.write(bytes, 0, bytes.length)).bytesWritten;
  }
  return total;
}

/** What is left of the part that the byte at `skip` is in. */
function firstBehind(batch: readonly Uint8Array[], skip: number): Uint8Array {
  let at = 0;
  for (const part of batch) {
    if (skip < at + part.length) return part.subarray(skip - at);
    at += part.length;
  }
  return new Uint8Array();
}
