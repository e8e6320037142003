import { readdir } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import { clearDirectory, type DirectoryKind } from "../../../base/own-directory.js";
import { isWeightsFile } from "./open.js";

/**
 * Removes the weights that a directory of ours holds from before, unless it was taken by force: then other weights than those
 * that are written are refused, because programs would differ in which they read.
 *
 * @param kind what the directory is for
 * @param written names of the files that are going to be written, the last one last
 * @throws FailedPrecondition naming other weights that stay
 */
export async function clearWeights(directory: string, kind: DirectoryKind, written: readonly string[]): Promise<void> {
  await clearDirectory(directory, kind, (await readdir(directory)).filter(isWeightsFile));
  const others = (await readdir(directory)).filter((name) => isWeightsFile(name) && !written.includes(name)).sort();
  if (others.length === 0) return;
  const listed = others.slice(0, 3).join(", ") + (others.length > 3 ? ` and ${others.length - 3} more` : "");
  throw new RetortError(
    "FailedPrecondition",
    `${directory} holds other weights (${listed}), which would lie beside ${written.at(-1)}, and nothing is deleted from a directory that was taken by force; remove them, or name another directory`,
  );
}
