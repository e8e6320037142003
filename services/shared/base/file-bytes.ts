import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { RetortError } from "./errors.js";

/** Most bytes of one call into the system or a hash; beyond 2 GiB they fail or do a part. */
const callBytes = 2 ** 30;

/** A file's bytes as views of at most `size` bytes, in order; empty pieces give none. */
export function* chunksOf(pieces: Uint8Array | Iterable<Uint8Array>, size: number = callBytes): Generator<Uint8Array> {
  for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces)
    for (let at = 0; at < piece.length; at += size) yield piece.subarray(at, at + size);
}

/** Adds bytes of any length to a hash. */
export function updateHash(hash: Hash, bytes: Uint8Array | Iterable<Uint8Array>): Hash {
  for (const chunk of chunksOf(bytes)) hash.update(chunk);
  return hash;
}

/** Bytes of a file. @throws DataLoss naming it if it ends before them */
export async function readAt(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await readInto(file, position, bytes, path);
  return bytes;
}

/** Fills `bytes` from a file. @throws DataLoss naming it if it ends before */
export async function readInto(file: FileHandle, position: number, bytes: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(callBytes, bytes.length - done), position + done);
    if (bytesRead === 0) throw new RetortError("DataLoss", `${path} was cut off while it was read; copy or download it again`);
    done += bytesRead;
  }
}
