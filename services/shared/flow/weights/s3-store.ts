import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { RetortError } from "../../base/errors.js";
import { type FileBytes, gather, lengthOf, sliceOf } from "../../base/file-bytes.js";
import { BlobStore } from "./blob-store.js";

/** Where an S3 store keeps its objects, and in what sizes it sends them. */
export interface S3StoreOptions {
  /** s3://bucket or s3://bucket/prefix */
  readonly url: string;
  /** A server other than Amazon's, as http://host:port; its buckets are then part of the path, not of the host. */
  readonly endpoint?: string;
  /** Files beyond this many bytes go up in parts of this size. Default 64 MiB: a file then has at most 10,000 up to 640 GB. */
  readonly partBytes?: number;
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
  constructor({ url, endpoint, partBytes = 64 * 1024 * 1024 }: S3StoreOptions) {
    super();
    const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) ?? [];
    if (!bucket)
      throw new RetortError("InvalidArgument", `--weight-url is "${url}"; it must be s3://bucket or s3://bucket/prefix`, {
        fieldPath: "weightUrl",
      });
    // What is read is checked against the manifest's SHA-256; checksums of the client's own would be refused by many servers.
    this.#client = new S3Client({
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    });
    this.#bucket = bucket;
    this.#partBytes = partBytes;
    this.#prefix = prefix && `${prefix.replace(/\/$/, "")}/`;
  }

  protected async write(runId: string, version: number, name: string, bytes: FileBytes): Promise<void> {
    const place = this.#object(runId, version, name);
    const size = lengthOf(bytes);
    if (size > this.#partBytes) return this.#call(() => this.#writeParts(place, bytes, size));
    await this.#call(() => this.#client.send(new PutObjectCommand({ ...place, Body: sliceOf(bytes, 0, size) })));
  }

  /** The object appears whole with the last call. What was begun and failed is given up, or its parts would be paid for. */
  async #writeParts(place: Place, bytes: FileBytes, size: number): Promise<void> {
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(place));
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      for (let from = 0; from < size; from += this.#partBytes) {
        const part = { PartNumber: Parts.length + 1, Body: sliceOf(bytes, from, Math.min(size, from + this.#partBytes)) };
        const { ETag } = await this.#client.send(new UploadPartCommand({ ...place, UploadId, ...part }));
        Parts.push({ ETag, PartNumber: part.PartNumber });
      }
      await this.#client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    } catch (error) {
      await this.#client.send(new AbortMultipartUploadCommand({ ...place, UploadId })).catch(() => {});
      throw error;
    }
  }

  protected async read(runId: string, version: number, name: string): Promise<FileBytes | undefined> {
    const place = this.#object(runId, version, name);
    return this.#call(async () => {
      try {
        const { Body, ContentLength = 0 } = await this.#client.send(new GetObjectCommand(place));
        return await gather(ContentLength, Body as unknown as AsyncIterable<Uint8Array>, place.Key);
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
    const prefix = `${this.#prefix}${runId}/`;
    return this.#call(async () => {
      const versions: number[] = [];
      for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix }))
        for (const { Key = "" } of Contents) {
          const [version, file] = Key.slice(prefix.length).split("/");
          if (file === name) versions.push(Number(version));
        }
      return versions;
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
