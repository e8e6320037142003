import { DeleteObjectCommand, GetObjectCommand, NoSuchKey, PutObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { RetortError } from "../../base/errors.js";
import { BlobStore } from "./blob-store.js";

export interface S3StoreOptions {
  /** s3://bucket or s3://bucket/prefix */
  readonly url: string;
  /** A server other than Amazon's, as http://host:port; its buckets are then part of the path, not of the host. */
  readonly endpoint?: string;
}

/**
 * Versions in a bucket of S3, or of a server that speaks it: `<prefix>/<run>/<version>/<file>`. Region and credentials
 * come from where Amazon's tools look for them (AWS_REGION, AWS_ACCESS_KEY_ID, web identity, instance role …).
 */
export class S3Store extends BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  /** @throws InvalidArgument if the URL names no bucket */
  constructor({ url, endpoint }: S3StoreOptions) {
    super();
    const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) ?? [];
    if (!bucket)
      throw new RetortError("InvalidArgument", `--weight-url is "${url}"; it must be s3://bucket or s3://bucket/prefix`, {
        fieldPath: "weightUrl",
      });
    // What is read is checked against the manifest's SHA-256.
    this.#client = new S3Client({ responseChecksumValidation: "WHEN_REQUIRED", ...(endpoint ? { endpoint, forcePathStyle: true } : {}) });
    this.#bucket = bucket;
    this.#prefix = prefix && `${prefix.replace(/\/$/, "")}/`;
  }

  protected async write(runId: string, version: number, name: string, bytes: Uint8Array): Promise<void> {
    await this.#call(() => this.#client.send(new PutObjectCommand({ ...this.#object(runId, version, name), Body: bytes })));
  }

  protected async read(runId: string, version: number, name: string): Promise<Uint8Array | undefined> {
    return this.#call(async () => {
      try {
        const { Body } = await this.#client.send(new GetObjectCommand(this.#object(runId, version, name)));
        return await Body!.transformToByteArray();
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

  #object(runId: string, version: number, name: string): { Bucket: string; Key: string } {
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
