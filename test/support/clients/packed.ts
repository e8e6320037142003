import { execFile } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const minutes = 60_000;

/** The client packages, each as whoever installs it has it. */
export interface Installed {
  /** A directory with node_modules that holds what was packed; undefined if it could not be installed. */
  readonly npm: string | undefined;
  /** A Python whose site-packages hold the wheel, and mypy. */
  readonly python: string | undefined;
}

/**
 * Packs the client packages as they are published and installs the packed files where nothing else is. What can't be had here is
 * undefined, and the console says what is not tested and why.
 */
export async function installPacked(directory: string): Promise<Installed> {
  await run(process.execPath, ["deploy/packages.mjs"]);
  const made = [
    orWarn("npm's", () => installNpm(join(directory, "npm"))),
    orWarn("Python's", () => installPython(join(directory, "python"))),
  ];
  const [npm, python] = await Promise.all(made);
  return { npm, python };
}

async function installNpm(place: string): Promise<string> {
  await mkdir(place);
  await run("npm", ["pack", "./dist/packages/proto", "./dist/packages/client", "--pack-destination", place]);
  const packed = (await readdir(place)).filter((name) => name.endsWith(".tgz")).map((name) => `./${name}`);
  await writeFile(join(place, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--no-audit", "--no-fund", ...packed], { cwd: place, timeout: 5 * minutes });
  return place;
}

async function installPython(place: string): Promise<string> {
  const python = join(place, "bin", "python");
  await run("python3", ["-m", "venv", place]);
  await run(python, ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", place, "dist/packages/python"], { timeout: 5 * minutes });
  const [wheel = ""] = (await readdir(place)).filter((name) => name.endsWith(".whl"));
  await run(python, ["-m", "pip", "install", "--quiet", "mypy==2.4.1", `${resolve(place, wheel)}[types]`], { timeout: 5 * minutes });
  return python;
}

/** What a registry or a program that is not there keeps from being made is undefined; anything else is an error. */
async function orWarn(whose: string, make: () => Promise<string>): Promise<string | undefined> {
  try {
    return await make();
  } catch (thrown) {
    const { code, message, stderr = "" } = thrown as NodeJS.ErrnoException & { readonly stderr?: string };
    const isAbsent =
      code === "ENOENT" ||
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ensurepip|NewConnectionError|Name or service|Connection refused/.test(stderr);
    if (!isAbsent) throw new Error(`${message}\n${stderr}`, { cause: thrown });
    const why = `${message.split("\n")[0]}: ${stderr.trim().split("\n").at(-1)}`;
    console.warn(`${whose} client is not tested, which needs npm, or python3 with venv and pip, and their registry: ${why}`);
    return undefined;
  }
}
