import { randomUUID } from "node:crypto";
import { constants, copyFile, link, rename, rm } from "node:fs/promises";

/** What file systems say that have no hard links, or not from here to there. */
const noLink = new Set(["EXDEV", "EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK", "EACCES"]);

/**
 * Gives a file a second name, in place of what had it: a hard link where the file system has them, else a copy (one that shares
 * its blocks, where it can). Both names may then be the same file, so it must not be written to, only replaced.
 *
 * @returns whether they are
 * @throws the system's own error: ENOENT if there is no such file
 */
export async function linkOrCopy(from: string, to: string): Promise<boolean> {
  const temporary = `${to}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  let isSame: boolean;
  try {
    isSame = await link(from, temporary).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (!noLink.has(error.code ?? "")) throw error;
        await copyFile(from, temporary, constants.COPYFILE_FICLONE);
        return false;
      },
    );
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  // A rename between two names of one file does nothing, and leaves both.
  await rm(temporary, { force: true });
  return isSame;
}
