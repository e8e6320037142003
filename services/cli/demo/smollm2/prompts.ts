import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../../shared/base/errors.js";
import { makeDirectory } from "../../../shared/base/make-directory.js";
import { promptOfRow } from "../../../shared/codec/prompt-of-row.js";
import { defaultColumns, type Row, readDataset } from "../../../shared/flow/prompts/dataset.js";
import { chatSettings } from "../../models/chat-options.js";
import { wordsOf } from "../../models/model-words.js";
import { wordProblems } from "./word-problems.js";

/** Where prompts come from. */
export interface PromptSource {
  /** JSONL or Parquet; without it the demo makes word problems. */
  readonly prompts?: string;
  readonly column: string;
}

/** The demo's prompts, as files and as rows. */
export interface DemoPrompts {
  /** In words. */
  readonly from: string;
  readonly trainPath: string;
  readonly heldOut: readonly Row[];
}

/** Longer prompts are left out, so that a step stays short: in tokens, chat template and all. */
const longestPrompt = 96;

/** Rows that are read of a file. */
const mostRows = 4096;

/**
 * Writes the prompts of a demo: those that are trained on, then others that are held out.
 *
 * @param teacher directory of the model whose tokenizer counts
 * @throws InvalidArgument naming the file if it has too few
 */
export async function writePrompts(
  directory: string,
  teacher: string,
  { prompts: path, column }: PromptSource,
  counts: { readonly train: number; readonly heldOut: number },
): Promise<DemoPrompts> {
  await makeDirectory(directory);
  const wanted = counts.train + counts.heldOut;
  const made = join(directory, "word-problems.jsonl");
  if (path === undefined) await writeRows(made, wordProblems(wanted, 1n));
  const rows = await readDataset(path ?? made, { ...defaultColumns, prompt: path === undefined ? "prompt" : column }, mostRows);
  const { encoder } = await wordsOf(teacher, chatSettings({ chat: true }));
  const encoded = encoder.prompts(rows.map(promptOfRow), (i) => rows[i]!.where);
  const short = rows.filter((_, i) => encoded[i]!.ids.length <= longestPrompt);
  if (short.length < 2 * counts.heldOut)
    throw new RetortError(
      "InvalidArgument",
      `${path ?? made} has ${short.length} prompts of at most ${longestPrompt} tokens among its first ${rows.length} rows, and ${2 * counts.heldOut} are needed; name a file with more`,
    );
  const train = short.slice(0, Math.min(counts.train, short.length - counts.heldOut));
  const heldOut = short.slice(train.length, train.length + counts.heldOut);
  const trainPath = join(directory, "train.jsonl");
  await writeRows(
    trainPath,
    train.map(({ prompt }) => prompt),
  );
  await writeRows(
    join(directory, "held-out.jsonl"),
    heldOut.map(({ prompt }) => prompt),
  );
  const from = path === undefined ? "word problems that the demo makes itself" : path;
  return { from, trainPath, heldOut };
}

const writeRows = (path: string, prompts: readonly Row["prompt"][]): Promise<void> =>
  writeFile(path, prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
