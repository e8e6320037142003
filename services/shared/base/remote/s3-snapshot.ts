import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { cacheDirectory } from "../cache-directory.js";
import { RetortError } from "../errors.js";
import type { Expected } from "./digest.js";
import { NoRanges, type RemoteFile } from "./download.js";
import { parseS3Address } from "./s3-address.js";
import { s3Client } from "./s3-client.js";
import { type FillOptions, SnapshotCache, type SnapshotFile } from "./snapshot-cache.js";

/** What below an address is fetched, and who hears of it. */
export interface ObjectsOptions extends FillOptions {
  /** Whether a file is wanted, by its path below the address; empty for the object of that very key. */
  readonly wanted: (path: string) => boolean;
  /** AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, XDG_CACHE_HOME; all else Amazon's client reads of the process's own. Default: the process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/** An object as it is now. */
interface S3File extends SnapshotFile {
  readonly key: string;
  readonly etag: string;
}

/**
 * Fetches the object of an address, or all objects below it that are wanted, into a cache of this user, and returns where they lie.
 * An object is fetched again when its ETag is another one. Its bytes are compared with the ETag where that is made of them, with its
 * SHA-256 where S3 has that, and else with its size alone. Where S3 can't be reached, what it was last known to be is taken.
 *
 * @throws InvalidArgument for a malformed address, NotFound if nothing is there, PermissionDenied or FailedPrecondition if S3 refuses it,
 *   DataLoss if what came isn't what it should be, Unavailable if it can't be reached and nothing is cached
 */
export async function fetchObjects(text: string, options: ObjectsOptions): Promise<string> {
  const { wanted, env = process.env } = options;
  const address = parseS3Address(text);
  if (!address) throw new RetortError("InvalidArgument", `${text} names nothing in S3; write s3://BUCKET/PREFIX`);
  const { bucket, key } = address;
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const server = endpoint ? sha256(endpoint).slice(0, 16) : "aws";
  const cache = new SnapshotCache(join(cacheDirectory(env), "s3", server, bucket), "set XDG_CACHE_HOME to another disk");
  const client = s3Client(endpoint);
  const ref = sha256(key);
  try {
    const all = await listed(client, bucket, key);
    const files = all.filter(({ path }) => wanted(path.slice(key.length).replace(/^\//, "")));
    if (files.length === 0)
      throw new RetortError("NotFound", `${text} has no ${all.length ? "files that can be used" : "objects"}; check bucket and key`);
    const id = sha256(JSON.stringify(all.map(({ path, blob }) => [path, blob])));
    const snapshot = await cache.fill(id, files, (file) => opened(client, bucket, file), options);
    await cache.note(ref, id);
    return join(snapshot, key);
  } catch (thrown) {
    const error = toRetortError(text, endpoint, thrown);
    const cached = error.code === "Unavailable" ? await cache.lastKnown(ref, key) : undefined;
    if (!cached) throw error;
    return cached;
  } finally {
    client.destroy();
  }
}

/** The object of a key, or else those of the keys below it. */
async function listed(client: S3Client, Bucket: string, key: string): Promise<S3File[]> {
  const own = key && (await headOf(client, { Bucket, Key: key }));
  if (own) return [fileOf(key, own.ETag, own.ContentLength, own.LastModified)];
  const files: S3File[] = [];
  // Consoles make an empty object of a folder.
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: key && `${key}/` }))
    for (const { Key = "", ETag, Size, LastModified } of Contents)
      if (!Key.endsWith("/")) files.push(fileOf(Key, ETag, Size, LastModified));
  return files.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function fileOf(key: string, etag = "", size = 0, modified: Date | undefined = undefined): S3File {
  const bare = etag.replace(/^W\//, "").replaceAll('"', "");
  // What isn't made of the bytes may be that of several objects.
  const blob = isDigest(bare) ? bare : sha256(JSON.stringify([key, bare, size, modified?.getTime() ?? 0]));
  return { path: key, key, etag, size, blob };
}

/** MD5, alone or of parts. */
const isDigest = (etag: string): boolean => /^[0-9a-f]{32}(-\d+)?$/.test(etag);

/** What S3 says of an object; undefined if there is none. @param place with PartNumber: of that part */
async function headOf(
  client: S3Client,
  place: { readonly Bucket: string; readonly Key: string; readonly PartNumber?: number },
): Promise<HeadObjectCommandOutput | undefined> {
  try {
    return await client.send(new HeadObjectCommand(place));
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404) return undefined;
    throw error;
  }
}

/** An object ready to be read, as it was listed. */
async function opened(client: S3Client, Bucket: string, file: S3File): Promise<RemoteFile> {
  const { key: Key, etag, size } = file;
  const place = `s3://${Bucket}/${Key}`;
  const head = await headOf(client, { Bucket, Key });
  if (!head || head.ETag !== etag || head.ContentLength !== size)
    throw new RetortError("DataLoss", `${place} was ${head ? "changed" : "deleted"} while it was fetched; try again`);
  const expected = await expectedOf(client, Bucket, Key, head);
  const read = async (from: number) => {
    const { Body, ContentRange } = await client.send(
      new GetObjectCommand({ Bucket, Key, IfMatch: etag, ...(from > 0 ? { Range: `bytes=${from}-` } : {}) }),
    );
    if (from > 0 && !ContentRange?.startsWith(`bytes ${from}-`)) throw new NoRanges();
    return Body as unknown as AsyncIterable<Uint8Array>;
  };
  return { path: Key, size, expected, place, read };
}

/** What an object's bytes can be compared with. */
async function expectedOf(client: S3Client, Bucket: string, Key: string, head: HeadObjectCommandOutput): Promise<Expected> {
  const { ServerSideEncryption = "AES256", SSECustomerAlgorithm, ChecksumSHA256, ChecksumType, ETag = "" } = head;
  if (ChecksumSHA256 && ChecksumType !== "COMPOSITE" && !ChecksumSHA256.includes("-"))
    return { algorithm: "sha256", digest: Buffer.from(ChecksumSHA256, "base64").toString("hex") };
  const digest = ETag.replaceAll('"', "");
  // With a key of the owner's the ETag isn't made of the bytes.
  if (!isDigest(digest) || ServerSideEncryption !== "AES256" || SSECustomerAlgorithm) return { algorithm: "none" };
  if (!digest.includes("-")) return { algorithm: "md5", digest };
  const first = await headOf(client, { Bucket, Key, PartNumber: 1 });
  const [partBytes, parts] = [first?.ContentLength ?? 0, Number(digest.split("-")[1])];
  // Of a server that doesn't tell parts apart, or of parts of several sizes, it can't be made again.
  const same = partBytes > 0 && Math.ceil((head.ContentLength ?? 0) / partBytes) === parts;
  return same ? { algorithm: "md5-parts", digest, partBytes } : { algorithm: "none" };
}

function toRetortError(text: string, endpoint: string | undefined, thrown: unknown): RetortError {
  const cached = "and it isn't in the cache";
  if (thrown instanceof RetortError) {
    const { code, message } = thrown;
    return code === "Unavailable" ? new RetortError(code, `${text}: ${message}, ${cached}`, { cause: thrown }) : thrown;
  }
  const { name, message, $metadata } = thrown as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  const server = endpoint ?? "S3";
  if (status === undefined || status === 429 || status >= 500) {
    const own = name === "CredentialsProviderError" || /region/i.test(message);
    if (own)
      return new RetortError(
        "FailedPrecondition",
        `${text}: ${message}; set AWS_REGION and credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID …)`,
      );
    return new RetortError("Unavailable", `${text}: ${server} can't be reached (${message || name}), ${cached}`, { cause: thrown });
  }
  if (status === 401 || status === 403)
    return new RetortError("PermissionDenied", `${text}: ${server} refuses it (status ${status}); check bucket, key and the credentials`);
  return new RetortError(status === 404 ? "NotFound" : "FailedPrecondition", `${text}: ${server} answers ${name}: ${message}`);
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
