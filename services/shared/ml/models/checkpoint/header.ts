import type { FileHandle } from "node:fs/promises";
import { RetortError } from "../../../base/errors.js";
import type { SafetensorsEntry } from "../safetensors.js";
import { isPointer, pointerError } from "./diagnose.js";
import { elementBytes } from "./widen.js";

/** Where the tensors of a safetensors file lie. */
export interface SafetensorsHeader {
  /** Place of the first tensor's bytes in the file. */
  readonly start: number;
  readonly entries: readonly (readonly [name: string, entry: SafetensorsEntry])[];
}

/** The format's own limit of a header. */
const mostHeaderBytes = 100_000_000;

/**
 * Reads and checks the header of an open safetensors file: every tensor's bytes are as many as its shape calls for and lie
 * within the file.
 *
 * @throws DataLoss if the file is cut off or malformed; InvalidArgument for a git-lfs pointer
 */
export async function readHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const first = await readAt(file, 0, Math.min(size, 64));
  if (isPointer(first)) throw pointerError(path);
  const length = size >= 8 ? Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true)) : Number.POSITIVE_INFINITY;
  if (8 + length > size || length > mostHeaderBytes)
    throw new RetortError("DataLoss", `${path}: not a safetensors file, or cut off (${size} bytes); copy or download it again`);
  const start = 8 + length;
  const entries = parseHeader(await readAt(file, 8, length), path);
  for (const [name, entry] of entries) checkEntry(entry, `${path}: tensor ${name}`, size - start);
  return { start, entries };
}

function parseHeader(bytes: Uint8Array, path: string): [string, SafetensorsEntry][] {
  try {
    const { __metadata__, ...entries } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, SafetensorsEntry>;
    return Object.entries(entries);
  } catch (error) {
    throw new RetortError("DataLoss", `${path}: its header is not JSON (${(error as Error).message}); copy or download it again`);
  }
}

function checkEntry({ dtype, shape, data_offsets }: SafetensorsEntry, what: string, room: number): void {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  const [from, to] = Array.isArray(data_offsets) ? data_offsets : [];
  if (typeof dtype !== "string" || !Array.isArray(shape) || !shape.every(whole) || !whole(from) || !whole(to) || from > to)
    throw new RetortError("DataLoss", `${what} has a malformed header entry; copy or download the file again`);
  if (to > room) throw new RetortError("DataLoss", `${what} ends after the file; it is cut off: copy or download it again`);
  const bytes = elementBytes[dtype];
  const expected = shape.reduce((a, b) => a * b, 1) * (bytes ?? 0);
  if (bytes !== undefined && expected !== to - from)
    throw new RetortError("DataLoss", `${what} has ${(to - from) / bytes} elements for shape [${shape}]`);
}

/** Most bytes of one read: what the system takes. */
const readBytes = 2 ** 30;

/** Bytes of a file. @throws DataLoss if it ends before them */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await readInto(file, position, bytes);
  return bytes;
}

/** Fills `bytes` from a file. @throws DataLoss if it ends before */
export async function readInto(file: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(readBytes, bytes.length - done), position + done);
    if (bytesRead === 0) throw new RetortError("DataLoss", "a safetensors file was cut off while it was read");
    done += bytesRead;
  }
}
