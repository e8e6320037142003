import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import type { DataSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { type Columns, defaultColumns, type Message, type Row } from "./row.js";
import { refused } from "./rows/bytes.js";
import { type Located, readJson } from "./rows/json-objects.js";
import { toRow } from "./to-row.js";

export { type Columns, defaultColumns, type Located, type Message, type Row };

/**
 * Reads JSONL or JSON arrays (.jsonl, .json, both also packed: .gz) and Parquet files, or every such file of a directory in
 * order of name.
 *
 * @param limit reads only so many rows; 0 reads all
 * @throws NotFound if there is no such file; InvalidArgument naming file, row and column
 */
export async function readDataset(path: string, columns: Columns, limit = 0): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { object, where } of readObjects(path, limit)) rows.push(toRow(object, columns, where, rows.length + 1));
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
export const columnsOf = (data: DataSpec): Columns => ({
  prompt: data.promptField || defaultColumns.prompt,
  completion: data.completionField || defaultColumns.completion,
  reference: data.referenceField || defaultColumns.reference,
  messages: data.messagesField || defaultColumns.messages,
  teacher: data.teacherField || defaultColumns.teacher,
  teacherPrompt: data.teacherPromptField || defaultColumns.teacherPrompt,
  teacherMessages: data.teacherMessagesField || defaultColumns.teacherMessages,
  named: Boolean(data.promptField) === Boolean(data.messagesField) ? undefined : data.promptField ? "prompt" : "messages",
});

/** The rows of a dataset as they are; files and errors as in {@link readDataset}. @param limit rows at most; 0 gives all */
export async function* readObjects(path: string, limit = 0): AsyncGenerator<Located> {
  let count = 0;
  for (const file of await filesOf(path)) {
    const left = limit ? limit - count : 0;
    // Most data is no Parquet: its library is loaded where there is some.
    const located = file.endsWith(".parquet") ? (await import("./rows/parquet.js")).readParquet(file, left) : readJson(file);
    for await (const one of located) {
      yield one;
      if (++count === limit) return;
    }
  }
}

const formats = ".jsonl, .json or .parquet (.jsonl.gz, .json.gz)";

const isData = (name: string): boolean => /\.((jsonl|json)(\.gz)?|parquet)$/.test(name);

async function filesOf(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: Error) => {
    throw new RetortError("NotFound", `the dataset ${path} cannot be read; give a .jsonl or .parquet file or a directory of them`, {
      cause: error,
      fieldPath: "data.path",
    });
  });
  if (!info.isDirectory()) {
    if (isData(path)) return [path];
    throw refused(`${path} is not ${formats}; convert it, or name it by what it is`);
  }
  const names = (await readdir(path)).filter(isData).sort();
  if (names.length === 0) throw refused(`the directory ${path} has no ${formats} file`);
  return names.map((name) => join(path, name));
}
