import type { Hash } from "node:crypto";
import { RetortError } from "../../base/errors.js";
import { writeAtomically } from "../../base/write-atomically.js";

/**
 * Writes a stream of known size to a file: memory holds what has come and is not written.
 *
 * @param hash takes the bytes on their way
 * @throws DataLoss if the stream brings more or fewer bytes
 */
export async function writeStream(path: string, size: number, stream: AsyncIterable<Uint8Array>, what: string, hash?: Hash): Promise<void> {
  const written = await writeAtomically(path, atMost(size, stream), { hash, sync: false });
  if (written !== size) throw new RetortError("DataLoss", `${what}: ${written} bytes came, ${size} were announced`);
}

/** Ends a stream with the first part that goes beyond a size: it must not fill the disk. */
async function* atMost(size: number, stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const part of stream) {
    total += part.length;
    yield part;
    if (total > size) return;
  }
}
