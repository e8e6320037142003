import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { RetortError } from "./errors.js";

const run = promisify(execFile);

/** Packages of Python's registry, each pinned: `name==1.2.3 --hash=sha256:…`. */
export interface PipPackages {
  readonly requirements: readonly string[];
  /** What they are, as an error says it. */
  readonly what: string;
  /** What to do where they can't be had. */
  readonly wayOut: string;
  /** Of another Python, or platform, than this machine's: options that say which. */
  readonly options?: readonly string[];
}

/**
 * Unpacks wheels into a directory, by their ordinary client: registry, proxy and certificates are those that pip is told. Nothing
 * is run of them, and nothing else is installed.
 *
 * @param env the environment: PATH, and what pip reads
 * @throws FailedPrecondition if there is no pip, or it cannot fetch them, with the way out
 */
export async function pipInstall(directory: string, packages: PipPackages, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { requirements, what, wayOut, options = [] } = packages;
  const unavailable = (why: string) => new RetortError("FailedPrecondition", `${why}; ${wayOut}`);
  const python = await pythonWithPip(env);
  if (!python) throw unavailable(`${what} can't be fetched: neither python3 nor python on the PATH has pip`);
  const list = join(directory, "requirements.txt");
  await writeFile(list, `${requirements.join("\n")}\n`);
  const always = ["--only-binary", ":all:", "--no-deps", "--no-compile", "--require-hashes", "--disable-pip-version-check", "--quiet"];
  // A user's own setting would not go together with --target.
  await run(python, ["-m", "pip", "install", ...always, ...options, "--target", directory, "-r", list], {
    env: { ...env, PIP_USER: "0" },
  }).catch((error: { stderr?: string; message: string }) => {
    throw unavailable(`pip could not fetch ${what}: ${(error.stderr || error.message).trim().split("\n").slice(-2).join(" ")}`);
  });
  await rm(list);
}

async function pythonWithPip(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const python of ["python3", "python"])
    if (await run(python, ["-m", "pip", "--version"], { env }).catch(() => undefined)) return python;
  return undefined;
}
