import { parseJson } from "../../../base/json.js";
import { jsonError } from "../../../base/json-text.js";
import { decoded, refused } from "./bytes.js";
import { piecesOf } from "./pieces.js";
import { deepest, Unreadable } from "./unreadable.js";

/** A row as it stands in its file. */
export interface Located {
  readonly object: Record<string, unknown>;
  /** File and line (of Parquet, row), for errors. */
  readonly where: string;
}

const lostOrder = (): unknown => new Unreadable("an object with whole numbers for keys, whose order would be lost,");

const form = "a dataset has one JSON object on each line, or is one list of objects";

/**
 * The rows of a file of JSON: one object on each line, or one array of objects. Numbers keep their spelling.
 *
 * @throws InvalidArgument naming file and line, or row
 */
export async function* readJson(file: string): AsyncGenerator<Located> {
  for await (const { bytes, where } of piecesOf(file)) yield { object: objectIn(decoded(bytes, where), where), where };
}

function objectIn(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJson(text, lostOrder);
  } catch (error) {
    const reason = reasonOf(text, error);
    throw refused(`${reason ? `${where} is not JSON: ${reason}` : jsonError(error, where)}; ${form}`);
  }
  if (value instanceof Unreadable) throw refused(`${where} is ${value.what} which no column's name may do; rename the columns`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused(`${where} is no JSON object; ${form}`);
  if (/\\u[dD][89a-fA-F]/.test(text)) refuseSurrogates(value, where, 0);
  return value as Record<string, unknown>;
}

/** What is likely meant by a text that is not JSON. */
function reasonOf(text: string, error: unknown): string | undefined {
  if (text.startsWith("\uFEFF")) return "it begins with a byte order mark, which only a file may begin with";
  const constant = text.length < 1e6 ? /-?\b(?:NaN|Infinity)\b/.exec(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'))?.[0] : undefined;
  if (constant) return `it has ${constant}, which JSON does not know; write null or a text`;
  if (/^\s*\{/.test(text) && !text.trimEnd().endsWith("}"))
    return `an object is cut off or goes on in the next line (${(error as Error).message}); where the rows are a list within an object, write that list alone`;
  return undefined;
}

/** Half of a pair of UTF-16 has no bytes in UTF-8, so that no tokenizer could read it. */
function refuseSurrogates(value: unknown, where: string, depth: number): void {
  if (depth > deepest) throw refused(`${where} has more than ${deepest} lists and objects within each other; leave them out`);
  if (typeof value === "string") {
    const half = /\p{Surrogate}/u.exec(value)?.[0];
    if (half)
      throw refused(
        `${where} has \\u${half.charCodeAt(0).toString(16)}, one half of a character without its other half; remove it, or write both halves`,
      );
  } else if (typeof value === "object" && value !== null) {
    for (const [key, part] of Object.entries(value)) {
      refuseSurrogates(key, where, depth);
      refuseSurrogates(part, where, depth + 1);
    }
  }
}
