import { RetortError } from "../../../base/errors.js";
import { JsonFault, jsonError, readJson } from "../../../base/json-text.js";
import { elementBytes } from "./widen.js";

/** Where a tensor lies among the bytes behind the header, and what it is. */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Most tensors of a file: each has a name, a type, a shape and two offsets. */
const limits = { values: 4_000_000, depth: 16 };

/**
 * The tensors that a safetensors header names: every one's bytes are as many as its shape calls for, lie within the file, and
 * are no other's.
 *
 * @param room bytes behind the header
 * @throws DataLoss naming file and tensor if it is malformed
 */
export function entriesOf(header: Uint8Array, path: string, room: number): [string, SafetensorsEntry][] {
  const text = Buffer.from(header.buffer, header.byteOffset, header.length).toString();
  let value: unknown;
  try {
    value = readJson(text, limits);
  } catch (error) {
    const why = error instanceof JsonFault ? error.of("its header") : jsonError(error, "its header");
    throw new RetortError("DataLoss", `${path}: ${why}; copy or download it again`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new RetortError("DataLoss", `${path}: its header is no JSON object; copy or download it again`);
  const { __metadata__, ...tensors } = value as Record<string, SafetensorsEntry>;
  const entries = Object.entries(tensors);
  refuseTwice(text, entries.length + (__metadata__ === undefined ? 0 : 1), path);
  for (const [name, entry] of entries) checkEntry(entry, `${path}: tensor ${name}`, room);
  refuseOverlaps(entries, path);
  return entries;
}

function checkEntry(entry: unknown, what: string, room: number): void {
  const { dtype, shape, data_offsets } = (typeof entry === "object" && entry !== null ? entry : {}) as Partial<SafetensorsEntry>;
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  const [from, to] = Array.isArray(data_offsets) && data_offsets.length === 2 ? data_offsets : [];
  if (typeof dtype !== "string" || !Array.isArray(shape) || !shape.every(whole) || !whole(from) || !whole(to) || from > to)
    throw new RetortError("DataLoss", `${what} has a malformed header entry; copy or download the file again`);
  if (to > room) throw new RetortError("DataLoss", `${what} ends after the file; it is cut off: copy or download it again`);
  const elements = shape.reduce((a, b) => a * b, 1);
  if (shape.length > 16 || !Number.isSafeInteger(elements))
    throw new RetortError("DataLoss", `${what} has a shape of more elements than can be counted; copy or download the file again`);
  const bytes = elementBytes[dtype];
  if (bytes !== undefined && elements * bytes !== to - from)
    throw new RetortError("DataLoss", `${what} has ${(to - from) / bytes} elements for shape [${shape}]`);
}

/** JSON.parse keeps the last of two values of one name, and other programs the first. */
function refuseTwice(text: string, names: number, path: string): void {
  let [depth, keys] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === "\\") at++;
    } else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === ":" && depth === 1) keys++;
  }
  if (keys !== names) throw new RetortError("DataLoss", `${path}: its header names a tensor twice; copy or download it again`);
}

function refuseOverlaps(entries: readonly (readonly [string, SafetensorsEntry])[], path: string): void {
  const placed = entries
    .filter(
      ([
        ,
        {
          data_offsets: [from, to],
        },
      ]) => to > from,
    )
    .sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  const at = placed.findIndex(([, { data_offsets }], i) => i > 0 && data_offsets[0] < placed[i - 1]![1].data_offsets[1]);
  if (at < 0) return;
  throw new RetortError(
    "DataLoss",
    `${path}: tensors ${placed[at - 1]![0]} and ${placed[at]![0]} share bytes of the file; copy or download it again`,
  );
}
