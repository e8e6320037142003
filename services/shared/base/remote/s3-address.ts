/** What an `s3://` address names. */
export interface S3Address {
  readonly bucket: string;
  /** Without slashes at its ends; empty for all of the bucket. */
  readonly key: string;
}

/** Whether a text is an address in S3. */
export const isS3Address = (text: string): boolean => text.startsWith("s3://");

/** @returns undefined if the text names no bucket */
export function parseS3Address(text: string): S3Address | undefined {
  const [, bucket, key = ""] = /^s3:\/\/([a-zA-Z0-9][^/]*)(?:\/(.*))?$/s.exec(text) ?? [];
  return bucket ? { bucket, key: key.replace(/^\/+|\/+$/g, "") } : undefined;
}
