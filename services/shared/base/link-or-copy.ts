import { randomUUID } from "node:crypto";
import { constants, copyFile, link, rename, rm } from "node:fs/promises";

/** What file systems say that have no hard links, or not from here to there. */
const noLink = new Set(["EXDEV", "EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK", "EACCES"]);

/**
 * Gives a file a second name, in place of what had it: a hard link where the file system has them, else a copy (one that shares
 * its blocks, where it can). Both names may then be the same file, so it must not be written to, only replaced.
 *
 * @throws the system's own error: ENOENT if there is no such file
 */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  const temporary = `${to}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    await link(from, temporary).catch((error: NodeJS.ErrnoException) => {
      if (!noLink.has(error.code ?? "")) throw error;
      return copyFile(from, temporary, constants.COPYFILE_FICLONE);
    });
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  // A rename between two names of one file does nothing, and leaves both.
  await rm(temporary, { force: true });
}
