import { stat } from "node:fs/promises";

/** Whether there is a directory at a path. */
export const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
