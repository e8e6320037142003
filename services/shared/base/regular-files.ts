import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { RetortError } from "./errors.js";

/** Most bytes of a JSON document of settings: config.json, tokenizer_config.json, an index of shards. */
export const mostJsonBytes = 64 * 2 ** 20;

const flags = constants.O_RDONLY | constants.O_NONBLOCK;

const kinds = [
  ["isDirectory", "a directory"],
  ["isFIFO", "a named pipe"],
  ["isSocket", "a socket"],
  ["isCharacterDevice", "a device"],
  ["isBlockDevice", "a device"],
] as const satisfies readonly (readonly [keyof Stats, string])[];

function checkRegular(stats: Stats, path: string): void {
  if (stats.isFile()) return;
  const kind = kinds.find(([is]) => stats[is]())?.[1] ?? "something else";
  throw new RetortError("InvalidArgument", `${path} is ${kind}, and a regular file is expected there; name the file itself`);
}

function checkName(path: string): void {
  if (path.includes("\0")) throw new RetortError("InvalidArgument", "a path holds a NUL character, which no file's name can; remove it");
}

/**
 * Opens a regular file for reading. Anything else is refused before it is opened: a pipe would never answer, a device may act.
 *
 * @throws InvalidArgument naming the path and what it is; the system's own error (ENOENT, EACCES …) if it cannot be opened
 */
export async function openRegular(path: string): Promise<FileHandle> {
  checkName(path);
  checkRegular(await stat(path), path);
  const file = await open(path, flags);
  try {
    // What the name stands for may have been replaced since.
    checkRegular(await file.stat(), path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Works with an open regular file, and closes it.
 *
 * @throws DataLoss if the file was changed meanwhile; what {@link openRegular} throws
 */
export async function withRegular<T>(path: string, work: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  const file = await openRegular(path);
  try {
    const before = await file.stat();
    const result = await work(file, before.size);
    checkUnchanged(before, await file.stat(), path);
    return result;
  } finally {
    await file.close();
  }
}

/** Refuses a file that was written to between two looks at it. @throws DataLoss naming it */
export function checkUnchanged(before: Stats, after: Stats, path: string): void {
  if (before.size === after.size && before.mtimeMs === after.mtimeMs) return;
  throw new RetortError("DataLoss", `${path} was changed while it was read; let whatever writes it finish, then try again`);
}

/**
 * The bytes of a regular file of at most so many.
 *
 * @throws InvalidArgument naming the file and both sizes if it is larger; DataLoss if it is changed meanwhile; what
 * {@link openRegular} throws
 */
export async function readRegular(path: string, mostBytes: number = mostJsonBytes): Promise<Buffer> {
  return withRegular(path, async (file, size) => {
    checkSize(path, size, mostBytes);
    const bytes = Buffer.alloc(size);
    for (let done = 0; done < size; ) {
      const { bytesRead } = await file.read(bytes, done, size - done, done);
      if (bytesRead === 0) throw new RetortError("DataLoss", `${path} was cut short while it was read; try again`);
      done += bytesRead;
    }
    return bytes;
  });
}

/** As {@link readRegular}, for what is read before a process can wait: its settings. */
export function readRegularSync(path: string, mostBytes: number): Buffer {
  checkName(path);
  checkRegular(statSync(path), path);
  const file = openSync(path, flags);
  try {
    const stats = fstatSync(file);
    checkRegular(stats, path);
    checkSize(path, stats.size, mostBytes);
    const bytes = Buffer.alloc(stats.size);
    let done = 0;
    for (let read = -1; read !== 0 && done < bytes.length; done += read) read = readSync(file, bytes, done, bytes.length - done, done);
    checkUnchanged(stats, fstatSync(file), path);
    return bytes.subarray(0, done);
  } finally {
    closeSync(file);
  }
}

function checkSize(path: string, size: number, mostBytes: number): void {
  if (size <= mostBytes) return;
  throw new RetortError("InvalidArgument", `${path} has ${size} bytes, and at most ${mostBytes} are read of such a file; make it smaller`);
}
