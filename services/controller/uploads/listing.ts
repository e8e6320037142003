import { createHash } from "node:crypto";
import { z } from "zod";
import { RetortError } from "../../shared/base/errors.js";
import { isPlainPath } from "../../shared/flow/runs/upload-reference.js";

/** A file of an upload. */
export const listedFile = z.object({ path: z.string(), size: z.int().min(0), digest: z.string() });
/** Parsed {@link listedFile}. */
export type ListedFile = z.infer<typeof listedFile>;

/** Most folders above a file. */
const mostFolders = 16;

/**
 * The files of an upload in their order, once each.
 *
 * @throws InvalidArgument naming a path that can't be kept, or is there twice, or is a file and a folder
 */
export function checkedListing(given: readonly ListedFile[]): ListedFile[] {
  const files = [...given].sort((a, b) => (a.path < b.path ? -1 : 1));
  const paths = new Set<string>();
  for (const { path } of files) {
    if (!isPlainPath(path) || path.split("/").length > mostFolders + 1)
      throw refused(path, "isn't a path below a directory; name files by `/`-separated parts, without `.` and `..`");
    if (paths.has(path)) throw refused(path, "is there twice; name each file once");
    paths.add(path);
  }
  for (const { path } of files)
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
      if (paths.has(path.slice(0, at))) throw refused(path.slice(0, at), "is a file and a folder; rename one of them");
  const sizes = new Map<string, number>();
  for (const { path, size, digest } of files) {
    if ((sizes.get(digest) ?? size) !== size) throw refused(path, `has the digest ${digest} of a file of another size`);
    sizes.set(digest, size);
  }
  return files;
}

const refused = (path: string, why: string): RetortError =>
  new RetortError("InvalidArgument", `the file ${JSON.stringify(path)} ${why}`, { fieldPath: "files" });

/** The digest of a listing: two uploads of the same files are one. */
export const listingDigest = (files: readonly ListedFile[]): string =>
  createHash("sha256")
    .update(JSON.stringify(files.map(({ path, size, digest }) => [path, size, digest])))
    .digest("hex");
