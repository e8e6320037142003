import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import pRetry, { AbortError } from "p-retry";
import { RetortError } from "../errors.js";
import { locked } from "./lock.js";

/** A file on a hub, and what its bytes must hash to. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of a large file's bytes; SHA-1 of a small one's as git hashes a blob. Hexadecimal. */
  readonly digest: string;
  readonly algorithm: "sha256" | "git";
}

/** Where a file is fetched from and by whose right. */
export interface Source {
  readonly url: string;
  readonly token: string | undefined;
}

const retries = 5;

/**
 * Fetches a file to `target`, unless it is there, and goes on where an earlier try was cut off.
 *
 * @param onBytes told of bytes as they come, those of an earlier try among them
 * @throws DataLoss if what came isn't what the hub says it is, Unavailable if the hub can't be reached
 */
export async function download(file: HubFile, source: Source, target: string, onBytes: (bytes: number) => void): Promise<void> {
  await locked(`${target}.lock`, async () => {
    const there = await sizeOf(target);
    if (there !== undefined) return onBytes(there);
    const part = `${target}.incomplete`;
    let told = 0;
    const tell = (total: number) => {
      onBytes(total - told);
      told = total;
    };
    await pRetry(() => fetchInto(part, file, source, tell).catch(sorted), { retries, minTimeout: 500, maxTimeout: 10_000 }).catch(
      (error: Error) => {
        if (error instanceof RetortError) throw error;
        throw new RetortError(
          "Unavailable",
          `${file.path} could not be fetched from ${source.url}: ${error.message}; try again: it goes on where it was`,
          {
            cause: error,
          },
        );
      },
    );
    await rename(part, target);
  });
}

/** A full disk is no matter of trying again; what `fetch` throws is. */
function sorted(error: Error): never {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof AbortError) throw error;
  throw code === "ENOSPC" || code === "EDQUOT" ? new AbortError(RetortError.from(error)) : new Error(reasonOf(error), { cause: error });
}

/** One try. */
async function fetchInto(part: string, file: HubFile, { url, token }: Source, tell: (total: number) => void): Promise<void> {
  const [hash, begun] = await hashed(part, file);
  tell(begun);
  if (begun < file.size) {
    const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(begun > 0 ? { range: `bytes=${begun}-` } : {}) };
    const response = await fetch(url, { headers });
    if (!response.ok) throw refusal(file, url, response.status);
    if (begun > 0 && response.status !== 206) {
      // A server that knows no ranges begins again.
      await response.body?.cancel();
      await rm(part);
      throw new Error("the server sends no part of a file");
    }
    let total = begun;
    const count = new Transform({
      transform(chunk: Buffer, _, next) {
        hash.update(chunk);
        total += chunk.length;
        tell(total);
        next(null, chunk);
      },
    });
    if (!response.body) throw new Error("the answer has no body");
    await pipeline(Readable.fromWeb(response.body as ReadableStream), count, createWriteStream(part, { flags: "a" }));
    if (total < file.size) throw new Error(`the connection ended at ${total} of ${file.size} bytes`);
  } else if (file.size === 0) await writeFile(part, "");
  const digest = hash.digest("hex");
  if (digest === file.digest) return;
  await rm(part, { force: true });
  const message = `${file.path} from ${url} has the digest ${digest}, and the hub says ${file.digest}: it was changed on its way; try again`;
  throw new AbortError(new RetortError("DataLoss", message));
}

/** The hash of what an earlier try has left, and how much that is. */
async function hashed(part: string, { size, algorithm }: HubFile): Promise<[Hash, number]> {
  const hash = algorithm === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
  const begun = (await sizeOf(part)) ?? 0;
  if (begun > size) {
    await rm(part);
    return hashed(part, { path: "", size, digest: "", algorithm });
  }
  if (begun > 0) for await (const chunk of createReadStream(part)) hash.update(chunk as Buffer);
  return [hash, begun];
}

function refusal(file: HubFile, url: string, status: number): Error {
  const error = new Error(`status ${status}`);
  if (status === 429 || status >= 500) return error;
  const code = status === 401 || status === 403 ? "PermissionDenied" : "NotFound";
  return new AbortError(new RetortError(code, `${file.path} could not be fetched from ${url}: status ${status}`));
}

/** What stands behind "fetch failed". */
const reasonOf = (error: Error): string => (error.cause instanceof Error ? error.cause.message : error.message);

const sizeOf = async (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
