import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { RetortError } from "../../base/errors.js";
import type { DataSpec } from "../../gen/retort/v1/run_pb.js";
import { type Columns, type Row, toRow } from "./row.js";

export type { Columns, Row };

/**
 * Reads JSONL (.jsonl, .json) and Parquet files, or every such file of a directory in order of name.
 *
 * @param limit reads only so many rows; 0 reads all
 * @throws NotFound if there is no such file; InvalidArgument naming file, row and column
 */
export async function readDataset(path: string, columns: Columns, limit = 0): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { object, where } of readObjects(path, limit)) rows.push(toRow(object, columns, where));
  if (rows.length === 0)
    throw new RetortError("InvalidArgument", `${path} has no rows; a dataset needs at least one prompt`, { fieldPath: "data.path" });
  return rows;
}

/** Names of the columns of a dataset's first row. */
export async function columnsIn(path: string): Promise<string[]> {
  for await (const { object } of readObjects(path, 1)) return Object.keys(object);
  return [];
}

/** The columns that a spec names, with the defaults. */
export const columnsOf = ({ promptField, completionField, referenceField, messagesField, teacherField }: DataSpec): Columns => ({
  prompt: promptField || "prompt",
  completion: completionField || "completion",
  reference: referenceField || "reference",
  messages: messagesField || "messages",
  teacher: teacherField || "teacher",
});

/** A row as it stands in its file. */
export interface Located {
  readonly object: Record<string, unknown>;
  /** File and row, for errors. */
  readonly where: string;
}

/** The rows of a dataset as they are; files and errors as in {@link readDataset}. @param limit rows at most; 0 gives all */
export async function* readObjects(path: string, limit = 0): AsyncGenerator<Located> {
  let count = 0;
  for (const file of await filesOf(path)) {
    const left = limit ? limit - count : 0;
    for await (const located of file.endsWith(".parquet") ? readParquet(file, left) : readLines(file)) {
      yield located;
      if (++count === limit) return;
    }
  }
}

const isData = (name: string): boolean => /\.(jsonl|json|parquet)$/.test(name);

const refused = (message: string, cause?: unknown): RetortError =>
  new RetortError("InvalidArgument", message, { fieldPath: "data.path", cause });

async function filesOf(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: Error) => {
    throw new RetortError("NotFound", `the dataset ${path} cannot be read; give a .jsonl or .parquet file or a directory of them`, {
      cause: error,
      fieldPath: "data.path",
    });
  });
  if (!info.isDirectory()) {
    if (isData(path)) return [path];
    throw refused(`${path} is neither .jsonl, .json nor .parquet`);
  }
  const names = (await readdir(path)).filter(isData).sort();
  if (names.length === 0) throw refused(`the directory ${path} has no .jsonl, .json or .parquet file`);
  return names.map((name) => join(path, name));
}

/** @param limit rows at most; 0 reads all */
async function* readParquet(file: string, limit: number): AsyncGenerator<Located> {
  const objects = await asyncBufferFromFile(file)
    .then((buffer) => parquetReadObjects({ file: buffer, compressors, ...(limit ? { rowEnd: limit } : {}) }))
    .catch((error: Error) => {
      throw refused(`${file} cannot be read as Parquet: ${error.message}`, error);
    });
  for (const [i, object] of objects.entries()) yield { object, where: `${file} row ${i + 1}` };
}

async function* readLines(file: string): AsyncGenerator<Located> {
  const lines = createInterface({ input: createReadStream(file, "utf8"), crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    const where = `${file} line ${number}`;
    yield { object: parseLine(line, where), where };
  }
}

function parseLine(line: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw refused(`${where} is not JSON: ${(error as Error).message}; a dataset has one JSON object on each line`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw refused(`${where} is no JSON object; a dataset has one JSON object on each line`);
  return value as Record<string, unknown>;
}
