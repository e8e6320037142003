import { RetortError } from "../../../base/errors.js";
import { jsonError, readJson } from "../../../base/json-text.js";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** The tokenizer's files, parsed. */
export interface ParsedFiles {
  readonly tokenizer: Json;
  /** Whether tokenizer.json has a byte-level part. */
  readonly mentionsByteLevel: boolean;
  /** tokenizer_config.json; empty if there is none. */
  readonly config: Json;
  readonly specialTokensMap?: Json;
  readonly addedTokens?: Json;
  /** chat_template.json. */
  readonly chatTemplate?: Json;
  /** config.json of the model, of which the tokenizer's class is read. */
  readonly model?: Json;
}

/** Most values of a file: a vocabulary of millions of tokens with its merges. */
const mostValues = 32_000_000;

/** Whether a value is a JSON object. */
export const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws InvalidArgument naming the file that is not a JSON object */
export function parseFiles(files: Readonly<Record<string, string>>): ParsedFiles {
  const parse = (name: string): Json | undefined => {
    const text = files[name];
    if (text === undefined) return undefined;
    let value: unknown;
    try {
      value = readJson(text, { values: mostValues });
    } catch (error) {
      throw new RetortError("InvalidArgument", `${jsonError(error, name)}; download or save it again`);
    }
    if (isRecord(value)) return value;
    throw new RetortError("InvalidArgument", `${name} must hold a JSON object; download or save it again`);
  };
  const tokenizer = parse("tokenizer.json");
  if (!tokenizer) throw new RetortError("InvalidArgument", "a tokenizer needs tokenizer.json");
  return {
    tokenizer,
    mentionsByteLevel: files["tokenizer.json"]!.includes('"ByteLevel"'),
    config: parse("tokenizer_config.json") ?? {},
    specialTokensMap: parse("special_tokens_map.json"),
    addedTokens: parse("added_tokens.json"),
    chatTemplate: parse("chat_template.json"),
    model: parse("config.json"),
  };
}
