import { randomUUID } from "node:crypto";
import { open, readdir, realpath, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Problem } from "../../base/errors.js";
import { freeBytes } from "../../base/free-bytes.js";
import { makeDirectory, missingDirectories } from "../../base/make-directory.js";
import { directoryProblem } from "../../base/own-directory.js";
import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { pathsRead } from "./paths.js";

const fieldPath = "output";
const wayOut = "name another directory, or move what is in it away";

/**
 * What is wrong with a run's `output`: it is, holds or lies in something that the run reads, it holds what Retort did not
 * make, or it cannot be written to or has too little space. Tries the writing, and leaves nothing behind.
 *
 * @param tries false where the run's learner has another file system, or other rights on it, than this process
 */
export async function outputProblems(spec: RunSpec, tries = true): Promise<Problem[]> {
  if (!spec.output) return [];
  const output = resolve(spec.output);
  try {
    const overlap = await overlapOf(output, spec);
    const taken = overlap ?? (await directoryProblem(output, "output", { wayOut }));
    const found = taken ?? (tries ? await probe(output, await sizeOf(spec.student?.lora ? undefined : spec.student?.model)) : undefined);
    return found ? [{ fieldPath, description: found }] : [];
  } catch (error) {
    return [{ fieldPath, description: unwritable(output, error) }];
  }
}

/** How the output and an input overlap, if they do. By the files' identities: a link or a second mount is the same place. */
async function overlapOf(output: string, spec: RunSpec): Promise<string | undefined> {
  const [own, ...above] = await chainOf(output);
  for (const [field, path] of await pathsRead(spec)) {
    const [input, ...around] = await chainOf(resolve(path));
    if (!input) continue;
    const how = own === input ? "is" : above.includes(input) ? "lies in" : own && around.includes(own) ? "holds" : undefined;
    if (how) return `${output} ${how} ${field} (${path}), which the run reads; name a directory apart from it`;
  }
  return undefined;
}

/** Identities of what is at a path and of every directory above it; undefined for what does not exist. */
async function chainOf(path: string): Promise<(string | undefined)[]> {
  const missing = await missingDirectories(path);
  const chain: (string | undefined)[] = missing.map(() => undefined);
  for (let at = await realpath(missing.map((one) => dirname(one)).at(-1) ?? path); ; at = dirname(at)) {
    const { dev, ino } = await stat(at);
    chain.push(`${dev}:${ino}`);
    if (at === dirname(at)) return chain;
  }
}

/** Makes the directory and a file in it, and removes both again. */
async function probe(output: string, bytes: number, tries = 10): Promise<string | undefined> {
  const made = await missingDirectories(output);
  try {
    await makeDirectory(output);
    // A directory with a file in it is not tidied up by another probe of the same place.
    const free = await withProbe(join(output, `.retort-probe-${randomUUID()}`), () => freeBytes(output));
    if (free === undefined || free >= bytes) return undefined;
    return `${output} has ${megabytes(free)} free, and the student takes ${megabytes(bytes)}; make room, or name a directory elsewhere`;
  } catch (error) {
    // Another probe tidied up right before the file was made.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries === 1) throw error;
    return probe(output, bytes, tries - 1);
  } finally {
    // One that something has come into stays.
    for (const directory of made) await rmdir(directory).catch(() => {});
  }
}

/** Writes a file that is there while the work goes on. */
async function withProbe<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(Buffer.alloc(4096, 1));
      await handle.sync();
    } finally {
      await handle.close();
    }
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Bytes of a model directory's weights; 0 for none. */
async function sizeOf(model: string | undefined): Promise<number> {
  if (!model) return 0;
  const names = (await readdir(model).catch(() => [])).filter((name) => /\.(safetensors|bin)$/.test(name));
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(model, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EDQUOT: "the quota is used up",
  ENAMETOOLONG: "its name is too long",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of it is a file",
  EEXIST: "a part of it is a file",
  EPERM: "this user may not write there",
  EROFS: "the file system is read-only",
};

function unwritable(output: string, error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return `${output} cannot be written to: ${reasons[code] ? `${reasons[code]} (${code})` : message}; name another directory`;
}
