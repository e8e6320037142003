import { execFile } from "node:child_process";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A small disk under a directory, which can be filled. */
export interface SmallDisk {
  /** Takes every byte that is free, again and again until {@link free}. */
  fill(): Promise<void>;
  free(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts a disk of this size (in memory) on an empty directory; the reason as a sentence where that is not permitted. */
export async function smallDisk(directory: string, mebibytes: number): Promise<SmallDisk | string> {
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "retort-chaos", directory]);
  } catch (error) {
    return `no small disk can be mounted here: ${(error as Error).message.trim().split("\n").at(-1)}`;
  }
  const filler = join(directory, "filler");
  return {
    fill: async () => {
      const file = await open(filler, "a");
      try {
        // To the last block: what a process writes next must find nothing.
        for (let chunk = 1 << 20; chunk >= 4096; ) {
          const { bavail, bsize } = await statfs(directory);
          if (bavail === 0) break;
          await file.write(Buffer.alloc(Math.min(chunk, bavail * bsize))).catch(() => {
            chunk /= 4;
          });
        }
      } finally {
        await file.close().catch(() => {});
      }
    },
    free: () => rm(filler, { force: true }),
    stop: async () => {
      await run("umount", ["-l", directory]);
    },
  };
}
