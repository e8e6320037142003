import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../../services/shared/base/cache-directory.js";

const run = promisify(execFile);

/**
 * A Python with packages, in a virtual environment of the cache that is made once.
 *
 * @returns undefined if it cannot be made; the console says why
 */
export async function pythonWith(name: string, requirements: string): Promise<string | undefined> {
  const directory = join(cacheDirectory(), `python-${name}`);
  const python = join(directory, "bin", "python");
  const ready = join(directory, "ready");
  if (await stat(ready).catch(() => undefined)) return python;
  try {
    await run("python3", ["-m", "venv", "--clear", directory]);
    await run(python, ["-m", "pip", "install", "--quiet", "--requirement", requirements], { timeout: 300_000 });
    await run("touch", [ready]);
    return python;
  } catch (error) {
    const reason = (error as Error).message.trim().split("\n").slice(-2).join(" ");
    console.warn(`no Python with ${name}, so what needs it is skipped: ${reason}; install python3 with venv, and let pip reach its index`);
    return undefined;
  }
}
