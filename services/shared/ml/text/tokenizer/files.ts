import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../../base/errors.js";
import { mostJsonBytes, readRegular } from "../../../base/regular-files.js";

/** Names of the files of a model directory that say how text becomes ids and how conversations become text. */
export const tokenizerFiles: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
];

/** Folder of further chat templates, one NAME.jinja each. */
export const templateFolder = "additional_chat_templates";

/** Whether a path within a model directory is one of the tokenizer's files. */
export const isTokenizerFile = (path: string): boolean =>
  tokenizerFiles.includes(path) || (path.startsWith(`${templateFolder}/`) && path.endsWith(".jinja"));

/** Paths of the tokenizer's files that a model directory has, within it. */
export async function tokenizerPaths(directory: string): Promise<string[]> {
  const names: string[] = await readdir(directory).catch(() => []);
  const further: string[] = await readdir(join(directory, templateFolder)).catch(() => []);
  return [...names, ...further.map((name) => `${templateFolder}/${name}`)].filter(isTokenizerFile);
}

/**
 * The tokenizer's files of a model directory as text, by path within it; config.json among them, because its model_type
 * has a say in how transformers reads the others.
 *
 * @param model directory of config.json
 * @throws NotFound without tokenizer.json, naming what to save; InvalidArgument for a file that is not UTF-8
 */
export async function readTokenizerFiles(directory: string, model: string = directory): Promise<Record<string, string>> {
  const places = [...(await tokenizerPaths(directory)).map((path) => [directory, path] as const), [model, "config.json"] as const];
  const texts = await Promise.all(places.map(async ([place, path]) => [path, await readText(place, path)] as const));
  const files = Object.fromEntries(texts.filter((entry): entry is [string, string] => entry[1] !== undefined));
  if (files["tokenizer.json"] === undefined) throw await withoutTokenizer(directory);
  return files;
}

/** Most bytes of tokenizer.json: a vocabulary of millions of tokens, and what one text of the runtime can hold. */
const mostTokenizerBytes = 512 * 2 ** 20 - 64;

async function readText(directory: string, path: string): Promise<string | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readRegular(join(directory, path), path === "tokenizer.json" ? mostTokenizerBytes : mostJsonBytes);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT" || (error as { code?: unknown }).code === "ENOTDIR") return undefined;
    throw RetortError.from(error);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RetortError("InvalidArgument", `${join(directory, path)} is not UTF-8; save it as UTF-8`);
  }
}

/** Files of which transformers makes a tokenizer.json, and that are not read here. */
const others = ["tokenizer.model", "tekken.json", "tiktoken.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model"];

async function withoutTokenizer(directory: string): Promise<RetortError> {
  const names: string[] = await readdir(directory).catch(() => []);
  const found = others.filter((name) => names.includes(name));
  const what = found.length ? `${directory} has ${found.join(" and ")} but no tokenizer.json` : `${directory} has no tokenizer.json`;
  return new RetortError(
    "NotFound",
    `${what}, the one form of tokenizers that is read; write it with transformers: AutoTokenizer.from_pretrained("${directory}").save_pretrained("${directory}")`,
  );
}
