import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { RetortError } from "../../../base/errors.js";

/** An error about a dataset's file. */
export const refused = (message: string, cause?: unknown): RetortError =>
  new RetortError("InvalidArgument", message, { fieldPath: "data.path", cause });

/**
 * The bytes of a text file, unpacked if its name ends with .gz, without a byte order mark of UTF-8.
 *
 * @throws InvalidArgument if it is in UTF-16 or UTF-32, or cannot be unpacked
 */
export async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  try {
    for await (const chunk of opened(file)) {
      if (!head) {
        yield chunk;
        continue;
      }
      head = Buffer.concat([head, chunk]);
      if (head.length < 4) continue;
      yield withoutMark(head, file);
      head = undefined;
    }
  } catch (error) {
    if (error instanceof RetortError || !file.endsWith(".gz")) throw error;
    throw refused(`${file} cannot be unpacked: ${(error as Error).message}; pack it anew with gzip`, error);
  }
  if (head?.length) yield withoutMark(head, file);
}

function opened(file: string): AsyncIterable<Buffer> {
  const stream = createReadStream(file, { highWaterMark: 1 << 18 });
  if (!file.endsWith(".gz")) return stream;
  const unpacked = createGunzip();
  stream.on("error", (error) => unpacked.destroy(error));
  unpacked.on("close", () => stream.destroy());
  return stream.pipe(unpacked);
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
