import { createHash } from "node:crypto";
import { RetortError } from "../../base/errors.js";
import { writeAtomically } from "../../base/write-atomically.js";

/**
 * Writes a stream of known size to a file: memory holds what has come and is not written.
 *
 * @returns its SHA-256
 * @throws DataLoss if the stream brings more or fewer bytes
 */
export async function writeStream(path: string, size: number, stream: AsyncIterable<Uint8Array>, what: string): Promise<Buffer> {
  const hash = createHash("sha256");
  const written = await writeAtomically(path, atMost(size, stream), { hash, sync: false });
  if (written !== size) throw new RetortError("DataLoss", `${what}: ${written} bytes came, ${size} were announced`);
  return hash.digest();
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
