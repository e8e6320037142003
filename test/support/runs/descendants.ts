import { readdir, readFile } from "node:fs/promises";

/** Whether the system shows the environment of processes, by which those of a test are found. */
export const canSeeProcesses = process.platform === "linux";

/** A process that a test started, at whatever remove. */
export interface Descendant {
  readonly pid: number;
  /** Program and arguments, with spaces between. */
  readonly line: string;
}

/** Every live process whose environment has a variable with this value. */
export async function descendants(name: string, value: string): Promise<Descendant[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [environment, line] = await Promise.all(["environ", "cmdline"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8"))).catch(
        () => ["", ""],
      );
      // One that has ended and is not yet reaped has neither.
      return environment!.split("\0").includes(`${name}=${value}`) ? [{ pid: Number(pid), line: line!.replaceAll("\0", " ") }] : [];
    }),
  );
  return found.flat();
}
