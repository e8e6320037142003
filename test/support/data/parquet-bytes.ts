/** Thrift's compact protocol, as far as Parquet files by hand need it. */

/** A field: whole number, text, struct, or list of structs, texts or whole numbers; by its id. */
export type Thrift = { readonly [id: number]: number | string | Thrift | readonly (number | string | Thrift)[] };

const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
const zigzag = (value: number): number[] => varint(value < 0 ? -2 * value - 1 : 2 * value);

/** Types of the wire: i32 for whole numbers (i64 reads the same), binary, list, struct. */
const typeOf = (value: Thrift[number]): number =>
  typeof value === "number" ? (value > 2 ** 31 - 1 ? 6 : 5) : typeof value === "string" ? 8 : Array.isArray(value) ? 9 : 12;

function bytesOf(value: Thrift[number]): number[] {
  if (typeof value === "number") return zigzag(value);
  if (typeof value === "string") return [...varint(Buffer.byteLength(value)), ...Buffer.from(value)];
  if (!Array.isArray(value)) return [...thrift(value as Thrift)];
  const size = value.length < 15 ? [value.length * 16 + typeOf(value[0])] : [0xf0 + typeOf(value[0]), ...varint(value.length)];
  return [...size, ...value.flatMap((one: Thrift[number]) => bytesOf(one))];
}

/** A struct's bytes. */
export function thrift(fields: Thrift): Buffer {
  const bytes: number[] = [];
  let last = 0;
  for (const [id, value] of Object.entries(fields).map(([id, value]) => [Number(id), value] as const)) {
    bytes.push((id - last) * 16 + typeOf(value), ...bytesOf(value));
    last = id;
  }
  return Buffer.from([...bytes, 0]);
}

/** What the headers of a file's one column say; each differs from the truth where a test wants it to. */
export interface ParquetShape {
  readonly unpacked?: number;
  readonly values?: number;
  readonly pages?: number;
  readonly rows?: number;
  readonly offset?: number;
}

/** A Parquet file of one column `prompt` with plain texts. */
export function parquetOf(texts: readonly string[], shape: ParquetShape = {}): Buffer {
  const page = Buffer.concat(texts.map((text) => Buffer.concat([lengthOf(Buffer.byteLength(text)), Buffer.from(text)])));
  const { unpacked = page.length, values = texts.length, rows = texts.length, pages = 1, offset = 4 } = shape;
  const header = thrift({ 1: 0, 2: unpacked, 3: page.length, 5: { 1: values, 2: 0, 3: 3, 4: 3 } });
  const chunk = Buffer.concat(Array.from({ length: pages }, () => [header, page]).flat());
  const column = { 1: 6, 2: [0], 3: ["prompt"], 4: 0, 5: rows, 6: chunk.length, 7: chunk.length, 9: offset };
  const contents = thrift({
    1: 1,
    2: [
      { 4: "schema", 5: 1 },
      { 1: 6, 3: 0, 4: "prompt", 6: 0 },
    ],
    3: rows,
    4: [{ 1: [{ 2: 4, 3: column }], 2: chunk.length, 3: rows }],
  });
  return Buffer.concat([Buffer.from("PAR1"), chunk, contents, lengthOf(contents.length), Buffer.from("PAR1")]);
}

function lengthOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
