import type { Hash } from "node:crypto";

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
