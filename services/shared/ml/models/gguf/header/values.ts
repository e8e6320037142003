import type { ByteReader } from "./byte-reader.js";

/** A value of a GGUF file's metadata; 64-bit numbers that JavaScript's cannot hold are bigints. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** How a type of the metadata is read, by its number in the file, and the fewest bytes that it takes. */
const scalars: Readonly<Record<number, { readonly read: (reader: ByteReader) => GgufValue; readonly bytes: number }>> = {
  0: { read: (reader) => reader.uint8(), bytes: 1 },
  1: { read: (reader) => reader.int8(), bytes: 1 },
  2: { read: (reader) => reader.uint16(), bytes: 2 },
  3: { read: (reader) => reader.int16(), bytes: 2 },
  4: { read: (reader) => reader.uint32(), bytes: 4 },
  5: { read: (reader) => reader.int32(), bytes: 4 },
  6: { read: (reader) => shortest(reader.float32()), bytes: 4 },
  7: { read: (reader) => reader.uint8() !== 0, bytes: 1 },
  8: { read: (reader) => reader.text("a value"), bytes: 8 },
  10: { read: (reader) => reader.uint64(), bytes: 8 },
  11: { read: (reader) => reader.int64(), bytes: 8 },
  12: { read: (reader) => reader.float64(), bytes: 8 },
};

/** Number of the array type. */
const array = 9;

/** Most elements of one array; the largest vocabularies have a few hundred thousand. */
const mostElements = 1 << 24;

/** A value of the metadata of the given type. @throws DataLoss for a type that the format does not have, or hostile sizes */
export function readValue(reader: ByteReader, type: number, key: string, depth = 0): GgufValue {
  if (type !== array) return scalarOf(reader, type, key).read(reader);
  if (depth === 4) throw reader.broken(`nests arrays too deep in ${key}`);
  const inner = reader.uint32();
  const { bytes } = inner === array ? { bytes: 12 } : scalarOf(reader, inner, key);
  const count = reader.count(`elements of ${key}`, bytes);
  if (count > mostElements) throw reader.broken(`says that ${key} has ${count} elements, and at most ${mostElements} are read`);
  return Array.from({ length: count }, () => readValue(reader, inner, key, depth + 1));
}

function scalarOf(reader: ByteReader, type: number, key: string) {
  const scalar = scalars[type];
  if (!scalar) throw reader.broken(`gives ${key} the type ${type}, which the format does not have`);
  return scalar;
}

/** The shortest decimal number that is the same float32: 1e-5 for what is 9.99999974737875e-6 as a double. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
