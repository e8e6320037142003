import { readFile } from "node:fs/promises";

/** What tells this start of the machine from any other; undefined where the system doesn't say. */
export const bootId = (): Promise<string | undefined> =>
  readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
    (id) => id.trim(),
    () => undefined,
  );
