import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { filesBelow } from "../../shared/base/files-below.js";
import { hashFile } from "../../shared/base/hash-file.js";
import { isSpare } from "../../shared/base/write-atomically.js";
import type { VersionFile } from "../../shared/flow/weights/store.js";
import type { WrittenFile } from "../../shared/ml/models/safetensors/write-shards.js";

/**
 * The files of a directory and below it, with their digests, in order of name. Spare files that no file was written over are removed.
 *
 * @param known those that were hashed while they were written: they are not read again
 */
export async function filesIn(directory: string, known: readonly WrittenFile[]): Promise<VersionFile[]> {
  const written = new Map(known.map((file) => [file.name, file]));
  const files: VersionFile[] = [];
  for (const name of await filesBelow(directory)) {
    const path = join(directory, name);
    if (isSpare(name)) {
      await rm(path);
      continue;
    }
    files.push({ path, ...(written.get(name) ?? { name, sizeBytes: (await stat(path)).size, digest: await hashFile(path) }) });
  }
  return files;
}
