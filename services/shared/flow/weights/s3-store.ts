import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { RetortError } from "../../base/errors.js";
import { readAt } from "../../base/file-bytes.js";
import { withRegular } from "../../base/regular-files.js";
import { parseS3Address } from "../../base/remote/s3-address.js";
import { s3Client } from "../../base/remote/s3-client.js";
import { BlobStore, type Brought, type LocalFile } from "./blob-store.js";
import { writeStream } from "./write-stream.js";

/** Where an S3 store keeps its objects, and in what sizes it sends them. */
export interface S3StoreOptions {
  /** s3://bucket or s3://bucket/prefix */
  readonly url: string;
  /** A server other than Amazon's, as http://host:port; its buckets are then part of the path, not of the host. */
  readonly endpoint?: string;
  /** Files beyond this many bytes go up in parts of this size. Default 64 MiB: a file then has at most 10,000 up to 640 GB. */
  readonly partBytes?: number;
  /** As of {@link BlobStore}. */
  readonly scratch: string;
}

/** An object's place. */
interface Place {
  readonly Bucket: string;
  readonly Key: string;
}

/**
 * Versions in a bucket of S3, or of a server that speaks it: `<prefix>/<run>/<version>/<file>`. Region and credentials
 * come from where Amazon's tools look for them (AWS_REGION, AWS_ACCESS_KEY_ID, web identity, instance role …).
 */
export class S3Store extends BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #partBytes: number;

  /** @throws InvalidArgument if the URL names no bucket */
  constructor({ url, endpoint, partBytes = 64 * 1024 * 1024, scratch }: S3StoreOptions) {
    super(scratch);
    const address = parseS3Address(url);
    if (!address)
      throw new RetortError("InvalidArgument", `--weight-url is "${url}"; it must be s3://bucket or s3://bucket/prefix`, {
        fieldPath: "weightUrl",
      });
    this.#client = s3Client(endpoint);
    this.#bucket = address.bucket;
    this.#partBytes = partBytes;
    this.#prefix = address.key && `${address.key}/`;
  }

  protected async write(runId: string, version: number, name: string, file: LocalFile | Uint8Array): Promise<void> {
    const place = this.#object(runId, version, name);
    const put = (Body: Uint8Array) => this.#client.send(new PutObjectCommand({ ...place, Body }));
    if (file instanceof Uint8Array) await this.#call(() => put(file));
    else if (file.sizeBytes > this.#partBytes) await this.#call(() => this.#writeParts(place, file));
    else await this.#call(async () => put(await partOf(file, 0, file.sizeBytes)));
  }

  /** The object appears whole with the last call. What was begun and failed is given up, or its parts would be paid for. */
  async #writeParts(place: Place, file: LocalFile): Promise<void> {
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(place));
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      for (let from = 0; from < file.sizeBytes; from += this.#partBytes) {
        const Body = await partOf(file, from, Math.min(file.sizeBytes, from + this.#partBytes));
        const PartNumber = Parts.length + 1;
        const { ETag } = await this.#client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
        Parts.push({ ETag, PartNumber });
      }
      await this.#client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    } catch (error) {
      await this.#client.send(new AbortMultipartUploadCommand({ ...place, UploadId })).catch(() => {});
      throw error;
    }
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    const place = this.#object(runId, version, name);
    return this.#get(place, async (_, body) => {
      const parts: Uint8Array[] = [];
      for await (const part of body) parts.push(part);
      return Buffer.concat(parts);
    });
  }

  protected async bring(runId: string, version: number, name: string, path: string): Promise<Brought | undefined> {
    const place = this.#object(runId, version, name);
    return this.#get(place, async (size, body) => {
      const digest = await writeStream(path, size, body, place.Key);
      return { digest: async () => digest.toString("hex") };
    });
  }

  /** Reads an object; undefined if there is none. */
  #get<T>(place: Place, read: (size: number, body: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T | undefined> {
    return this.#call(async () => {
      try {
        const { Body, ContentLength = 0 } = await this.#client.send(new GetObjectCommand(place));
        return await read(ContentLength, Body as unknown as AsyncIterable<Uint8Array>);
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    });
  }

  protected async remove(runId: string, version: number, name: string): Promise<void> {
    await this.#call(() => this.#client.send(new DeleteObjectCommand(this.#object(runId, version, name))));
  }

  protected async versionsWith(runId: string, name: string): Promise<number[]> {
    return (await this.#names(`${runId}/`)).flatMap((key) => {
      const [version, file] = key.split("/");
      return file === name ? [Number(version)] : [];
    });
  }

  protected namesOf(runId: string, version: number): Promise<string[]> {
    return this.#names(`${runId}/${version}/`);
  }

  /** What is stored under a prefix of the store's own, without it. */
  #names(below: string): Promise<string[]> {
    const prefix = `${this.#prefix}${below}`;
    return this.#call(async () => {
      const names: string[] = [];
      for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix }))
        for (const { Key = "" } of Contents) names.push(Key.slice(prefix.length));
      return names;
    });
  }

  protected async removeRun(runId: string): Promise<void> {
    const place = { Bucket: this.#bucket, Prefix: `${this.#prefix}${runId}/` };
    await this.#call(async () => {
      for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, place))
        for (const { Key = "" } of Contents) await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key }));
    });
  }

  #object(runId: string, version: number, name: string): Place {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${runId}/${version}/${name}` };
  }

  /** The client tries again by itself what may pass; what is left says what to look at. */
  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Of the file or the disk of this machine.
      if (error instanceof RetortError || (error as NodeJS.ErrnoException).syscall === "write") throw error;
      const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
      const status = $metadata?.httpStatusCode;
      const refused = status !== undefined && status >= 400 && status < 500;
      throw new RetortError(
        refused ? "FailedPrecondition" : "Unavailable",
        `the bucket ${this.#bucket} of S3 cannot be used (${name}: ${message}); check --weight-url, --s3-endpoint, AWS_REGION and the credentials`,
        { cause: error },
      );
    }
  }
}

/** Bytes [from, to) of a file. */
const partOf = ({ path }: LocalFile, from: number, to: number): Promise<Uint8Array> =>
  withRegular(path, (file) => readAt(file, from, to - from, path));
