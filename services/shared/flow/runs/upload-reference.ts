import { RetortError } from "../../base/errors.js";

/** Something that was uploaded to the controller: `upload://DIGEST[/PATH]`. */
export interface UploadReference {
  /** SHA-256 of the list of its files, hexadecimal. */
  readonly digest: string;
  /** A file or folder of it; empty for all of it. */
  readonly path: string;
}

/** Whether a text is a reference to an upload. */
export const isUploadReference = (text: string): boolean => text.startsWith("upload://");

/** The reference of an upload. */
export const uploadReference = (digest: string): string => `upload://${digest}`;

/** Whether a text is a path below a directory, in the one form that it has: no part is empty, `.` or `..`, and `/` separates them. */
export const isPlainPath = (path: string): boolean =>
  !/[\0\\]/.test(path) && path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= 255);

/** @throws InvalidArgument naming the text and the form that it must have */
export function parseUploadReference(text: string): UploadReference {
  const [, digest, path = ""] = /^upload:\/\/([0-9a-f]{64})(?:\/(.*))?$/s.exec(text) ?? [];
  if (!digest || (path && !isPlainPath(path)))
    throw new RetortError(
      "InvalidArgument",
      `${text} names no upload; write what \`retort upload\` prints: upload://DIGEST or upload://DIGEST/FILE`,
    );
  return { digest, path };
}
