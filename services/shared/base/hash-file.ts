import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { withRegular } from "./regular-files.js";

/** Bytes of one read. */
const pieceBytes = 4 * 2 ** 20;

/**
 * SHA-256 of a regular file, hexadecimal. The system reads the next piece while one is hashed; memory holds two.
 *
 * @throws as {@link withRegular}
 */
export const hashFile = (path: string): Promise<string> => withRegular(path, hashOpen);

/** As {@link hashFile}, of a file that is open. */
export async function hashOpen(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of readAhead(file)) hash.update(piece);
  return hash.digest("hex");
}

/** A file's bytes in order; a piece is good until the next is asked for. */
async function* readAhead(file: FileHandle): AsyncGenerator<Uint8Array> {
  const buffers = [new Uint8Array(pieceBytes), new Uint8Array(pieceBytes)] as const;
  let at = 0;
  let reading = file.read(buffers[0], 0, pieceBytes, at);
  for (let turn = 0; ; turn++) {
    const { bytesRead, buffer } = await reading;
    if (bytesRead === 0) return;
    at += bytesRead;
    reading = file.read(buffers[(turn + 1) % 2]!, 0, pieceBytes, at);
    yield buffer.subarray(0, bytesRead);
  }
}
