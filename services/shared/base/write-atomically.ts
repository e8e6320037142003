import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { chunksOf } from "./file-bytes.js";

/**
 * Writes beside the name, syncs, and renames: a reader sees the old file or the new one, never a part.
 *
 * @param bytes whole, or as parts that are taken one by one: the file may be larger than one array, or the memory, can be
 */
export async function writeAtomically(path: string, bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  // Two writers of one name, in one process too, must not write into each other's file.
  const temporary = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    const handle = await open(temporary, "w");
    try {
      for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes)
        for (const chunk of chunksOf(part)) await writeAll(handle, chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // A full disk must not stay full of what nobody can use.
    await rm(temporary, { force: true });
    throw error;
  }
  await rename(temporary, path);
}

/** One call may write less than it was given. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}
