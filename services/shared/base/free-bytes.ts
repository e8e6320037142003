import { statfs } from "node:fs/promises";

/**
 * Bytes that are free on the disk of a directory; undefined where that is not known: there is no such directory, or its file
 * system cannot be asked, or counts no blocks and so has no bound.
 */
export const freeBytes = (directory: string): Promise<number | undefined> =>
  statfs(directory).then(
    ({ blocks, bavail, bsize }) => (blocks === 0 ? undefined : bavail * bsize),
    () => undefined,
  );
