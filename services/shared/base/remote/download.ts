import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import pRetry, { AbortError } from "p-retry";
import { RetortError } from "../errors.js";
import { type Digester, digesterOf, type Expected } from "./digest.js";
import { locked } from "./lock.js";

/** A file somewhere else, ready to be read. */
export interface RemoteFile {
  /** Its name there, for people. */
  readonly path: string;
  readonly size: number;
  readonly expected: Expected;
  /** Where it is, for people. */
  readonly place: string;
  /**
   * Its bytes from one on. What it throws is tried again, unless it is a RetortError that no other try can mend.
   *
   * @throws NoRanges if the bytes can only be had from the first on
   */
  read(from: number): Promise<AsyncIterable<Uint8Array>>;
}

/** A server gives a file from its beginning alone. */
export class NoRanges extends Error {
  override readonly message = "the server sends no part of a file";
}

const retries = 5;

/** One try to have a file's bytes in a path. @param tell told how many there are so far */
export type Fetch = (part: string, file: RemoteFile, tell: (total: number) => void) => Promise<void>;

/**
 * Fetches a file to `target`, unless it is there, and goes on where an earlier try was cut off. Of several processes one does it.
 *
 * @param onBytes told of bytes as they come, those of an earlier try among them
 * @param fetch what one try does. Default: it fetches all of the file
 * @throws DataLoss if what came isn't what was expected, Unavailable if its place can't be reached
 */
export async function download(
  { path, size }: Pick<RemoteFile, "path" | "size">,
  open: () => Promise<RemoteFile>,
  target: string,
  onBytes: (bytes: number) => void,
  fetch: Fetch = fetchInto,
): Promise<void> {
  await locked(`${target}.lock`, async () => {
    if ((await sizeOf(target)) !== undefined) return onBytes(size);
    const part = `${target}.incomplete`;
    let place = "";
    let told = 0;
    const tell = (total: number) => {
      onBytes(total - told);
      told = total;
    };
    const attempt = async () => {
      const file = await open();
      place = ` from ${file.place}`;
      await fetch(part, file, tell);
    };
    await pRetry(() => attempt().catch(sorted), { retries, minTimeout: 500, maxTimeout: 10_000 }).catch((error: Error) => {
      if (error instanceof RetortError) throw error;
      const message = `${path} could not be fetched${place}: ${error.message}; try again: it goes on where it was`;
      throw new RetortError("Unavailable", message, { cause: error });
    });
    await rename(part, target);
  });
}

/** What no other try can mend is thrown on: a full disk, a refusal. What `fetch` throws can. */
function sorted(error: Error): never {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") throw new AbortError(RetortError.from(error));
  if (error instanceof RetortError && error.code !== "Unavailable") throw new AbortError(error);
  throw new Error(reasonOf(error), { cause: error });
}

/** Bytes of a safetensors file before its head, which say how long that is; and what a head may have at most. */
const [lengthBytes, mostHeadBytes] = [8, 100_000_000];

/**
 * Fetches the head of a safetensors file, which says what its tensors are, and leaves a hole in place of them: the file is as long as the
 * whole one and takes no room. Its digest can't be compared.
 *
 * @throws DataLoss if the file has no such head
 */
export const fetchHead: Fetch = async (part, { path, place, size, read }) => {
  const chunks: Uint8Array[] = [];
  let [have, needed] = [0, lengthBytes];
  for await (const chunk of await read(0)) {
    chunks.push(chunk);
    have += chunk.length;
    if (have >= lengthBytes) needed = lengthBytes + Number(Buffer.concat(chunks).readBigUInt64LE(0));
    if (needed > Math.min(size, lengthBytes + mostHeadBytes))
      throw new RetortError("DataLoss", `${path} from ${place} is no safetensors file: its head would be ${needed} bytes long`);
    if (have >= needed) break;
  }
  if (have < needed) throw new Error(`the connection ended at ${have} of ${needed} bytes`);
  await writeFile(part, Buffer.concat(chunks).subarray(0, needed));
  await truncate(part, size);
};

/** One try. */
async function fetchInto(part: string, file: RemoteFile, tell: (total: number) => void): Promise<void> {
  const { path, size, expected, place } = file;
  const digester = digesterOf(expected);
  const begun = await takeUp(part, size, digester);
  tell(begun);
  if (begun < size) await append(part, file, begun, digester, tell);
  else if (size === 0) await writeFile(part, "");
  const digest = digester.digest();
  if (expected.algorithm === "none" || digest === expected.digest) return;
  await rm(part, { force: true });
  throw new RetortError(
    "DataLoss",
    `${path} from ${place} has the digest ${digest}, and should have ${expected.digest}: it was changed there, or on its way; try again`,
  );
}

async function append(
  part: string,
  { path, place, size, read }: RemoteFile,
  begun: number,
  digester: Digester,
  tell: (total: number) => void,
) {
  const body = await read(begun).catch(async (error: Error) => {
    if (error instanceof NoRanges) await rm(part);
    throw error;
  });
  let total = begun;
  const count = new Transform({
    transform(chunk: Buffer, _, next) {
      total += chunk.length;
      if (total > size) return next(new RetortError("DataLoss", `${path} is ${size} bytes long, and ${place} sends more`));
      digester.update(chunk);
      tell(total);
      next(null, chunk);
    },
  });
  await pipeline(Readable.from(body, { objectMode: false }), count, createWriteStream(part, { flags: "a" }));
  if (total < size) throw new Error(`the connection ended at ${total} of ${size} bytes`);
}

/** Hashes what an earlier try has left. Returns how much that is. */
async function takeUp(part: string, size: number, digester: Digester): Promise<number> {
  const begun = (await sizeOf(part)) ?? 0;
  if (begun > size) {
    await rm(part);
    return 0;
  }
  if (begun > 0) for await (const chunk of createReadStream(part)) digester.update(chunk as Buffer);
  return begun;
}

/** What stands behind "fetch failed". */
const reasonOf = (error: Error): string => (error.cause instanceof Error ? error.cause.message : error.message);

const sizeOf = async (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
