import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { FileChunk, GetWeightsResponse, WeightsManifest } from "@retort/proto";

/** A file that is being written. */
interface Open {
  readonly name: string;
  readonly file: FileHandle;
  readonly hash: Hash;
  bytes: bigint;
}

/** What was written of a file. */
interface Written {
  readonly bytes: bigint;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
}

/**
 * Writes the files of an answer into a new directory, and compares them with the manifest that comes first.
 *
 * @param retrying does work again while the controller is away
 * @returns the policy version
 */
export async function writeWeights(
  answer: () => AsyncIterable<GetWeightsResponse>,
  directory: string,
  retrying: (work: () => Promise<number>) => Promise<number>,
): Promise<number> {
  const target = resolve(directory);
  const held = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return [];
  });
  if (held.length)
    throw new Error(`${directory} is not empty: it holds ${held.slice(0, 3).join(", ")}; name a directory that isn't there yet`);
  const partial = `${target}.partial-${process.pid}`;
  try {
    const version = await retrying(async () => {
      await rm(partial, { recursive: true, force: true });
      await mkdir(partial, { recursive: true });
      return writeFiles(answer(), partial);
    });
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
    return version;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function writeFiles(answer: AsyncIterable<GetWeightsResponse>, directory: string): Promise<number> {
  let manifest: WeightsManifest | undefined;
  let current: Open | undefined;
  const written = new Map<string, Written>();
  const finish = async () => {
    if (!current) return;
    const { name, file, hash, bytes } = current;
    current = undefined;
    await file.close();
    written.set(name, { bytes, digest: hash.digest("hex") });
  };
  try {
    for await (const { part } of answer) {
      if (part.case === "manifest") manifest = part.value;
      if (part.case !== "chunk") continue;
      if (part.value.name !== current?.name) {
        await finish();
        current = await begin(directory, part.value.name);
      }
      await append(current, part.value);
    }
    await finish();
  } finally {
    await current?.file.close();
  }
  if (!manifest) throw new Error("the controller's answer has no manifest");
  check(manifest, written);
  return manifest.version;
}

async function begin(directory: string, name: string): Promise<Open> {
  const path = join(directory, name);
  if (!path.startsWith(directory + sep)) throw new Error(`the controller's answer names a file outside of the directory: ${name}`);
  await mkdir(dirname(path), { recursive: true });
  return { name, file: await open(path, "wx"), hash: createHash("sha256"), bytes: 0n };
}

async function append(current: Open, { name, offset, data }: FileChunk): Promise<void> {
  if (offset !== current.bytes) throw new Error(`a piece of ${name} begins at ${offset}, behind ${current.bytes} bytes: some are lost`);
  await current.file.write(data);
  current.hash.update(data);
  current.bytes += BigInt(data.length);
}

/** @throws if a file of the manifest is missing, or is another one */
function check({ files }: WeightsManifest, written: ReadonlyMap<string, Written>): void {
  for (const { name, sizeBytes, digest } of files) {
    const found = written.get(name);
    if (found?.bytes !== sizeBytes) throw new Error(`${name} has ${found?.bytes ?? "no"} bytes of ${sizeBytes}; export it again`);
    if (digest && digest !== found.digest)
      throw new Error(`${name} is damaged: its SHA-256 is ${found.digest}, not ${digest}; export it again`);
  }
}
