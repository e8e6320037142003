import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** The directories that a path lacks, the innermost first. */
export async function missingDirectories(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const isThere = await stat(at).then(
      () => true,
      () => false,
    );
    if (isThere || at === dirname(at)) return missing;
    missing.push(at);
  }
}

/**
 * Makes a directory and those above it that are missing, one by one. Node's own recursive mkdir never ends where a file
 * system refuses new names as not found (/proc does), and takes a thread of the process's few for good.
 *
 * @throws the system's own error
 */
export async function makeDirectory(path: string): Promise<void> {
  for (const directory of (await missingDirectories(path)).reverse())
    await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (error.code !== "EEXIST") throw error;
    });
}
