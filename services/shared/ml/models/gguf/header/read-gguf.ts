import type { FileHandle } from "node:fs/promises";
import { RetortError } from "../../../../base/errors.js";
import { readAt } from "../../../../base/file-bytes.js";
import { isPointer, pointerError } from "../../safetensors/pointer.js";
import { typeOfNumber } from "../blocks/types.js";
import { ByteReader, NeedMore } from "./byte-reader.js";
import { type GgufTensor, placeTensors } from "./tensors.js";
import { type GgufValue, readValue } from "./values.js";

/** What a GGUF file says before its weights. */
export interface GgufHeader {
  /** By key, as `llama.block_count`. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** Length of the file in bytes. */
  readonly size: number;
}

/** Bytes that are read at first: the headers of small vocabularies. */
const firstBytes = 1 << 22;

/** Most bytes of a header; the largest vocabularies take some 20 MB. */
const mostBytes = 1 << 29;

/** "GGUF", as a little-endian number. */
const magic = 0x46554747;

/**
 * Reads and checks the header of an open GGUF file (version 2 or 3, little-endian): every tensor's bytes are as many as its
 * shape and type call for, lie within the file, and are no other's. Nothing of the weights is read.
 * It is our own code because the library for it, @huggingface/gguf, reads a header that is cut off as if zeros followed.
 *
 * @param path for errors
 * @throws DataLoss for a file that is cut off or malformed; InvalidArgument for one that is no GGUF, or of another version
 */
export async function readGguf(file: FileHandle, path: string): Promise<GgufHeader> {
  const { size } = await file.stat();
  for (let wanted = firstBytes; ; ) {
    const bytes = await readAt(file, 0, Math.min(wanted, size), path);
    try {
      return parseHeader(bytes, size, path);
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error;
      if (error.bytes > mostBytes)
        throw new RetortError("DataLoss", `${path} has a header of more than ${mostBytes} bytes; copy or download it again`);
      wanted = Math.max(2 * wanted, error.bytes);
    }
  }
}

/**
 * The header in a file's first bytes; see {@link readGguf}.
 *
 * @param size length of the whole file
 * @throws NeedMore if the header goes on behind `bytes`
 */
export function parseHeader(bytes: Uint8Array, size: number, path: string): GgufHeader {
  if (isPointer(bytes)) throw pointerError(path);
  const reader = new ByteReader(bytes, size, path);
  if (size < 4 || reader.uint32() !== magic)
    throw new RetortError("InvalidArgument", `${path} is no GGUF file (it does not begin with "GGUF"); name a file that llama.cpp runs`);
  checkVersion(reader.uint32(), path);
  const tensorCount = reader.count("tensors", 24);
  const entryCount = reader.count("metadata entries", 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = reader.text("a key");
    if (metadata.has(key)) throw reader.broken(`has the key ${key} twice`);
    metadata.set(key, readValue(reader, reader.uint32(), key));
  }
  const infos = Array.from({ length: tensorCount }, () => readInfo(reader));
  const tensors = placeTensors(infos, { start: startOf(reader, metadata), size, alignment: alignmentOf(reader, metadata), path });
  return { metadata, tensors, size };
}

function checkVersion(version: number, path: string): void {
  if (version === 2 || version === 3) return;
  const what = version % 65536 === 0 ? "big-endian" : `of GGUF version ${version}`;
  throw new RetortError("InvalidArgument", `${path} is ${what}; supported: little-endian files of version 2, 3; convert the model again`);
}

function readInfo(reader: ByteReader) {
  const name = reader.text("a tensor's name");
  const dimensions = reader.uint32();
  if (dimensions < 1 || dimensions > 4) throw reader.broken(`gives tensor ${name} ${dimensions} dimensions`);
  // The format begins with the dimension whose elements lie side by side; everybody else ends with it.
  const shape = Array.from({ length: dimensions }, () => reader.uint64()).reverse();
  const type = typeOfNumber(reader.uint32());
  return { name, shape, type, offset: reader.uint64() };
}

function alignmentOf(reader: ByteReader, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment === "number" && Number.isInteger(alignment) && alignment >= 1 && alignment <= 1 << 20) return alignment;
  throw reader.broken(`has the general.alignment ${String(alignment)}`);
}

/** Where the tensors begin: at the next multiple of the alignment. */
function startOf(reader: ByteReader, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = alignmentOf(reader, metadata);
  return Math.ceil(reader.at / alignment) * alignment;
}
