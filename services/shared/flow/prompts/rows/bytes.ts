import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { RetortError } from "../../../base/errors.js";
import { checkUnchanged, openRegular } from "../../../base/regular-files.js";

/** An error about a dataset's file. */
export const refused = (message: string, cause?: unknown): RetortError =>
  new RetortError("InvalidArgument", message, { fieldPath: "data.path", cause });

/** A packed file may unpack to so many times its size, and to so much whatever its size. */
const [mostRatio, anyway] = [250, 256 * 2 ** 20];

/**
 * The bytes of a text file, unpacked if its name ends with .gz, without a byte order mark of UTF-8.
 *
 * @throws InvalidArgument if it is no regular file, is in UTF-16 or UTF-32, or cannot be unpacked, or only to far too much;
 * DataLoss if it is changed while it is read
 */
export async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  const handle = await opened(file);
  let head: Buffer | undefined = Buffer.alloc(0);
  try {
    const before = await handle.stat();
    for await (const chunk of unpacked(handle, file, before.size)) {
      if (!head) {
        yield chunk;
        continue;
      }
      head = Buffer.concat([head, chunk]);
      if (head.length < 4) continue;
      yield withoutMark(head, file);
      head = undefined;
    }
    checkUnchanged(before, await handle.stat(), file);
  } catch (error) {
    if (error instanceof RetortError || !file.endsWith(".gz")) throw error;
    throw refused(`${file} cannot be unpacked: ${(error as Error).message}; compress it again with gzip`, error);
  } finally {
    await handle.close();
  }
  if (head?.length) yield withoutMark(head, file);
}

/** Opens a file of a dataset. @throws NotFound if it cannot be read, InvalidArgument if it is no regular file */
export async function opened(file: string): Promise<FileHandle> {
  return openRegular(file).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof RetortError) throw refused(error.message, error);
    throw new RetortError("NotFound", `${file} cannot be read (${error.code}); let the process read it`, {
      fieldPath: "data.path",
      cause: error,
    });
  });
}

/** Bytes that are read at once. */
const readBytes = 1 << 18;

async function* stored(handle: FileHandle): AsyncGenerator<Buffer> {
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(readBytes), 0, readBytes, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* unpacked(handle: FileHandle, file: string, size: number): AsyncGenerator<Buffer> {
  if (!file.endsWith(".gz")) return yield* stored(handle);
  const gunzip = createGunzip({ chunkSize: readBytes });
  // The reader of the bytes is told what goes wrong.
  const done = pipeline(Readable.from(stored(handle)), gunzip).catch(() => {});
  const most = Math.max(anyway, size * mostRatio);
  let total = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > most)
        throw refused(
          `${file} has ${size} bytes and unpacks to more than ${most}, ${mostRatio} times as many; unpack it and look at it first`,
        );
      yield chunk;
    }
  } finally {
    gunzip.destroy();
    await done;
  }
}

function withoutMark(head: Buffer, file: string): Buffer {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return head.subarray(3);
  const marked = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (marked || head.subarray(0, 4).includes(0))
    throw refused(`${file} is in UTF-16 or UTF-32; datasets are read in UTF-8: convert it (iconv -f UTF-16 -t UTF-8)`);
  return head;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as text. @throws InvalidArgument naming where they stand, if they are not UTF-8 */
export function decoded(bytes: Uint8Array, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw refused(`${where} is not UTF-8; convert the file to UTF-8 (iconv -f ISO-8859-1 -t UTF-8, if it is Latin-1)`, error);
  }
}
