import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { RetortError } from "../../base/errors.js";

/** Column names of a dataset. */
export interface Columns {
  readonly prompt: string;
  readonly completion: string;
  readonly reference: string;
  readonly messages: string;
  readonly teacher: string;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** One row: a prompt as text or messages, and what else the dataset has. */
export interface Row {
  readonly prompt: string | readonly ChatMessage[];
  readonly completion: string | undefined;
  readonly reference: string | undefined;
  readonly teacher: string | undefined;
}

/**
 * Reads JSONL (.jsonl, .json) and Parquet files, or every such file of a directory in order of name.
 *
 * @throws NotFound if there is no such file; InvalidArgument naming file, row and column
 */
export async function readDataset(path: string, columns: Columns, limit = 0): Promise<Row[]> {
  const rows: Row[] = [];
  for (const file of await filesOf(path)) {
    const objects = file.endsWith(".parquet") ? await readParquet(file) : parseLines(await readFile(file, "utf8"), file);
    for (const [i, object] of objects.entries()) rows.push(toRow(object, columns, `${file} row ${i + 1}`));
    if (limit && rows.length >= limit) break;
  }
  if (rows.length === 0)
    throw new RetortError("InvalidArgument", `${path} has no rows; a dataset needs at least one prompt`, { fieldPath: "data.path" });
  return limit ? rows.slice(0, limit) : rows;
}

const isData = (name: string): boolean => /\.(jsonl|json|parquet)$/.test(name);

async function filesOf(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: Error) => {
    throw new RetortError("NotFound", `the dataset ${path} cannot be read; give a .jsonl or .parquet file or a directory of them`, {
      cause: error,
      fieldPath: "data.path",
    });
  });
  if (!info.isDirectory()) {
    if (isData(path)) return [path];
    throw new RetortError("InvalidArgument", `${path} is neither .jsonl, .json nor .parquet`, { fieldPath: "data.path" });
  }
  const names = (await readdir(path)).filter(isData).sort();
  return names.map((name) => join(path, name));
}

async function readParquet(file: string): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file: await asyncBufferFromFile(file) });
}

function parseLines(text: string, file: string): Record<string, unknown>[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch (error) {
      throw new RetortError("InvalidArgument", `${file} line ${i + 1} is not JSON: ${(error as Error).message}`, {
        fieldPath: "data.path",
      });
    }
  });
}

function toRow(object: Record<string, unknown>, columns: Columns, where: string): Row {
  const text = (column: keyof Columns): string | undefined => {
    const value = object[columns[column]];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string") return value;
    throw new RetortError("InvalidArgument", `${where}: column "${columns[column]}" is not text`, { fieldPath: `data.${column}Field` });
  };
  const messages = object[columns.messages];
  const prompt = Array.isArray(messages) ? (messages as ChatMessage[]) : text("prompt");
  if (prompt === undefined) {
    const found = Object.keys(object).join(", ");
    throw new RetortError(
      "InvalidArgument",
      `${where} has no column "${columns.prompt}" (nor "${columns.messages}"); it has: ${found}. Name the column with data.promptField`,
      { fieldPath: "data.promptField" },
    );
  }
  return { prompt, completion: text("completion"), reference: text("reference") ?? text("completion"), teacher: text("teacher") };
}
