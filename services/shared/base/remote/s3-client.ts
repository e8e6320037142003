import { S3Client } from "@aws-sdk/client-s3";

/**
 * A client of S3, or of a server that speaks it. Region and credentials come from where Amazon's tools look for them
 * (AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, web identity, instance role …).
 *
 * @param endpoint a server other than Amazon's, as http://host:port; its buckets are then part of the path, not of the host
 */
export const s3Client = (endpoint: string | undefined): S3Client =>
  // Checksums of the client's own would be refused by many servers: what is read is compared with digests that are known.
  new S3Client({
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // A server that says nothing any more is asked again.
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 120_000 },
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
  });
