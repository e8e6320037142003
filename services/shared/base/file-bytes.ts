import type { Hash } from "node:crypto";
import { RetortError } from "./errors.js";

/** A file's bytes: whole, or as pieces one behind the other, where it is larger than one array can be. */
export type FileBytes = Uint8Array | readonly Uint8Array[];

/** Most bytes of one array: a little less than the 4 GiB that every supported runtime can hold. */
export const largestArray = 2 ** 32 - 2 ** 16;

/** Most bytes of one call into the system or a hash; beyond 2 GiB they fail or do a part. */
const callBytes = 2 ** 30;

/** The pieces of a file, in order. */
export const piecesOf = (bytes: FileBytes): readonly Uint8Array[] => (bytes instanceof Uint8Array ? [bytes] : bytes);

/** Length of a file in bytes. */
export const lengthOf = (bytes: FileBytes): number => piecesOf(bytes).reduce((sum, { length }) => sum + length, 0);

/** Bytes [from, to) of a file: a view where they lie in one piece, else a copy. */
export function sliceOf(bytes: FileBytes, from: number, to: number): Uint8Array {
  let start = 0;
  let out: Uint8Array | undefined;
  for (const piece of piecesOf(bytes)) {
    const [first, last] = [Math.max(from - start, 0), Math.min(to - start, piece.length)];
    if (first === from - start && last === to - start) return piece.subarray(first, last);
    if (first < last) {
      out ??= new Uint8Array(to - from);
      out.set(piece.subarray(first, last), start + first - from);
    }
    start += piece.length;
  }
  return out ?? new Uint8Array();
}

/**
 * Copies the parts of a file one behind the other: into one array, or as few as can be.
 *
 * @throws ResourceExhausted if there is no memory for it
 */
export function joined(parts: Iterable<Uint8Array> & { readonly byteLength: number }, largest?: number): FileBytes {
  const bytes = allocate(parts.byteLength, largest);
  const pieces = piecesOf(bytes);
  let [index, at] = [0, 0];
  for (let part of parts)
    while (part.length) {
      const piece = pieces[index] as Uint8Array;
      const fits = part.subarray(0, piece.length - at);
      piece.set(fits, at);
      at += fits.length;
      part = part.subarray(fits.length);
      if (at === piece.length) [index, at] = [index + 1, 0];
    }
  return bytes;
}

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

/**
 * Room for a file of so many bytes: one array, or as few pieces as can be.
 *
 * @throws ResourceExhausted if there is no memory for it
 */
export function allocate(size: number, largest: number = largestArray): FileBytes {
  const sizes = Array.from({ length: Math.max(1, Math.ceil(size / largest)) }, (_, i) => Math.min(largest, size - i * largest));
  try {
    const pieces = sizes.map((length) => new Uint8Array(length));
    return pieces.length === 1 ? pieces[0]! : pieces;
  } catch (error) {
    throw new RetortError(
      "ResourceExhausted",
      `there is no memory for a file of ${size} bytes; give this process more, or fewer processes`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Gathers a file of known size from a stream.
 *
 * @throws DataLoss naming the file if the stream brings more or fewer bytes
 */
export async function gather(size: number, stream: AsyncIterable<Uint8Array>, what: string, largest?: number): Promise<FileBytes> {
  const bytes = allocate(size, largest);
  const pieces = piecesOf(bytes);
  let [index, at, total] = [0, 0, 0];
  for await (let chunk of stream) {
    total += chunk.length;
    if (total > size) break;
    while (chunk.length) {
      const piece = pieces[index]!;
      const part = chunk.subarray(0, piece.length - at);
      piece.set(part, at);
      at += part.length;
      chunk = chunk.subarray(part.length);
      if (at === piece.length) [index, at] = [index + 1, 0];
    }
  }
  if (total !== size) throw new RetortError("DataLoss", `${what}: ${total} bytes came, ${size} were announced`);
  return bytes;
}

/** The buffers that belong to a file's pieces alone: what may be moved to another thread instead of copied. */
export const ownBuffers = (bytes: FileBytes): ArrayBuffer[] =>
  piecesOf(bytes).flatMap(({ buffer, byteLength }) => (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : []));
