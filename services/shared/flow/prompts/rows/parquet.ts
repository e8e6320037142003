import { parquetReadObjects, parquetSchema, type SchemaTree } from "hyparquet";
import { RetortError } from "../../../base/errors.js";
import { parseJson, SpelledNumber } from "../../../base/json.js";
import { checkUnchanged } from "../../../base/regular-files.js";
import { opened, refused } from "./bytes.js";
import type { Located } from "./json-objects.js";
import { checkedCompressors, checkGroup, openParquet } from "./parquet-file.js";
import { Unreadable } from "./unreadable.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const text = (bytes: Uint8Array | undefined): unknown => {
  try {
    return bytes && decoder.decode(bytes);
  } catch {
    return new Unreadable("bytes that are not UTF-8");
  }
};
const time = (): unknown => new Unreadable("a date or time");

/** What takes the place of hyparquet's own reading, which puts U+FFFD for bytes that are not UTF-8. */
const parsers = {
  dateFromDays: time,
  jsonFromBytes: (bytes: Uint8Array | undefined): unknown => {
    const json = text(bytes);
    try {
      return typeof json === "string" ? parseJson(json) : json;
    } catch {
      return new Unreadable("text that is not JSON");
    }
  },
  stringFromBytes: text,
  timestampFromMicroseconds: time,
  timestampFromMilliseconds: time,
  timestampFromNanoseconds: time,
} as object;

/**
 * The rows of a Parquet file, as Python has them: a key that a struct of the file has is in every row, null where the row has
 * nothing for it; numbers are spelt as Python spells them.
 *
 * @param limit rows at most; 0 reads all
 * @throws InvalidArgument if it is no Parquet, or holds more in one row group than memory should; DataLoss if it is changed
 * while it is read
 */
export async function* readParquet(file: string, limit: number): AsyncGenerator<Located> {
  const fail = (error: Error): never => {
    if (error instanceof RetortError) throw error;
    // What the library says may hold what it read.
    throw refused(
      `${file} cannot be read as Parquet: ${/^it |^a /.test(error.message) ? error.message : "it is malformed"}; write the file again`,
      error,
    );
  };
  const handle = await opened(file);
  try {
    const before = await handle.stat();
    const parquet = await openParquet(handle, file, parsers).catch(fail);
    const { buffer, metadata } = parquet;
    const { children } = parquetSchema(metadata);
    let start = 0;
    for (const [group, { num_rows }] of metadata.row_groups.entries()) {
      const rowEnd = Math.min(start + Number(num_rows), limit || Number.POSITIVE_INFINITY);
      if (rowEnd <= start) return;
      await checkGroup(parquet, group, file).catch(fail);
      const options = { file: buffer, metadata, compressors: checkedCompressors, parsers, rowStart: start, rowEnd };
      const objects = await parquetReadObjects(options as Parameters<typeof parquetReadObjects>[0]).catch(fail);
      for (const [i, object] of objects.entries()) yield { object: structOf(children, object), where: `${file} row ${start + i + 1}` };
      start = rowEnd;
    }
    checkUnchanged(before, await handle.stat(), file);
  } finally {
    await handle.close();
  }
}

function structOf(children: readonly SchemaTree[], object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(children.map((child) => [child.element.name, cellOf(child, object[child.element.name])]));
}

function cellOf(node: SchemaTree, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (value instanceof Unreadable) return value;
  const { element, children } = node;
  if (element.converted_type === "MAP" || element.logical_type?.type === "MAP") return new Unreadable("a map");
  if (Array.isArray(value) && children.length) return value.map((part) => cellOf(memberOf(node), part));
  if (children.length) return structOf(children, value as Readonly<Record<string, unknown>>);
  return Array.isArray(value) ? value.map((part) => leafOf(node, part)) : leafOf(node, value);
}

/** What a list's members are: below the repeated node, or, in files of old writers, the repeated node itself. */
function memberOf(list: SchemaTree): SchemaTree {
  if (list.element.repetition_type === "REPEATED") return { ...list, element: { ...list.element, repetition_type: "REQUIRED" } };
  const repeated = list.children[0]!;
  const isOld = repeated.children.length !== 1 || ["array", `${list.element.name}_tuple`].includes(repeated.element.name);
  return isOld ? { ...repeated, element: { ...repeated.element, repetition_type: "REQUIRED" } } : repeated.children[0]!;
}

function leafOf({ element }: SchemaTree, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  const kind = element.logical_type?.type;
  if (element.converted_type === "DECIMAL" || kind === "DECIMAL") return new Unreadable("a decimal");
  if (kind === "TIME" || element.converted_type?.startsWith("TIME_") || value instanceof Date) return new Unreadable("a date or time");
  if (value instanceof Uint8Array) return new Unreadable("bytes");
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : new SpelledNumber(String(value));
  const isFloat = ["DOUBLE", "FLOAT"].includes(element.type ?? "") || kind === "FLOAT16";
  return isFloat && typeof value === "number" ? floatOf(value) : value;
}

/** A floating-point number with Python's spelling: 1.0, 1e+16, 1e-05. */
function floatOf(value: number): unknown {
  if (!Number.isFinite(value)) return new Unreadable(`the number ${value}`);
  const spelled = pythonSpelling(value);
  return spelled === String(value) ? value : new SpelledNumber(spelled);
}

function pythonSpelling(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e16)) return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
