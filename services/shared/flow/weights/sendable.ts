import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What a model directory of ours may hold, besides what training alone needs. Nothing else in it is anyone's business. */
const names: readonly RegExp[] = [
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|chat_template|vocab)\.json$/,
  /^model(-\d{5}-of-\d{5})?\.safetensors$/,
  /^adapter_(config\.json|model\.safetensors)$/,
  /^model\.safetensors\.index\.json$/,
  /^chat_template\.jinja$/,
  /^additional_chat_templates\/[\w-]+\.jinja$/,
  /^(merges\.txt|tokenizer\.model)$/,
];

/** True for the name of a file that a model directory of ours may hold; `/` separates folders. */
export const isModelFile = (name: string): boolean => names.some((pattern) => pattern.test(name));

/** A file that may be sent, open, so that it is still the file that was looked at. */
export interface Sendable {
  readonly name: string;
  readonly file: FileHandle;
  readonly bytes: number;
}

/**
 * Opens the files of a model directory that may be sent to a caller: regular ones with the names that a model's files have.
 * A link is not followed, wherever it leads.
 *
 * @returns in the order of their names; the caller closes them
 */
export async function openSendable(directory: string): Promise<Sendable[]> {
  const found: Sendable[] = [];
  try {
    for (const name of await namesIn(directory)) {
      const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
        () => undefined,
      );
      const stats = await file?.stat();
      if (file && stats?.isFile()) found.push({ name, file, bytes: stats.size });
      else await file?.close();
    }
    return found;
  } catch (error) {
    for (const { file } of found) await file.close();
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const templates = entries.some((entry) => entry.isDirectory() && entry.name === templateFolder)
    ? await readdir(join(directory, templateFolder))
    : [];
  return [...entries.map(({ name }) => name), ...templates.map((name) => `${templateFolder}/${name}`)].filter(isModelFile).sort();
}

const templateFolder = "additional_chat_templates";
