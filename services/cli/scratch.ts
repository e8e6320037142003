import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { supervisor } from "./supervise.js";

/** Works in a directory of its own, which is gone afterwards, also after Ctrl-C. @param prefix of its path */
export async function withScratch<T>(prefix: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(prefix);
  const remove = () => rm(directory, { recursive: true, force: true });
  // It was taken first, so it goes last: what writes to it is ended before.
  const forget = supervisor.add({ stop: remove, kill: () => rmSync(directory, { recursive: true, force: true }) });
  try {
    return await work(directory);
  } finally {
    await remove();
    forget();
  }
}
