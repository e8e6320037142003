import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../base/errors.js";
import { found } from "../base/found.js";
import { ownDirectory } from "../base/own-directory.js";
import { permutation } from "../base/random.js";
import { taskNamed } from "./table.js";
import type { Example, GeneratedTask } from "./task.js";

/** How many examples of a task go into which file. */
export interface Split {
  readonly train: number;
  readonly sft: number;
  readonly seed: bigint;
  /** Valid completions of each example in all.jsonl, for tasks with many. Default 1. */
  readonly variants?: number;
  /** Takes a directory that holds files of others, too. */
  readonly force?: boolean;
}

/**
 * Writes a task's files: all.jsonl, train.jsonl, sft.jsonl (the first of train) and held-out.jsonl, and a directory
 * `tokenizer` from which models are started. Returns their paths.
 *
 * @throws InvalidArgument if there is no such task, or too few examples
 */
export async function writeTask(name: string, directory: string, { train, sft, seed, variants = 1, force }: Split): Promise<string[]> {
  const task = taskNamed(name);
  const examples = task.examples();
  if (!(sft <= train && train < examples.length))
    throw new RetortError(
      "InvalidArgument",
      `--train ${train} and --sft ${sft}: ${name} has ${examples.length} examples, some must stay held out`,
    );
  const shuffled = Array.from(permutation(seed, examples.length), (i) => examples[i]!);
  const parts = {
    all: varied(task, examples, variants),
    train: shuffled.slice(0, train),
    sft: shuffled.slice(0, sft),
    "held-out": shuffled.slice(train),
  };
  await ownDirectory(directory, "task", { force, unmarked: ["all.jsonl", "held-out.jsonl", "sft.jsonl", "tokenizer", "train.jsonl"] });
  await mkdir(join(directory, "tokenizer"), { recursive: true });
  const files: Record<string, string> = Object.fromEntries(Object.entries(parts).map(([part, list]) => [`${part}.jsonl`, jsonl(list)]));
  for (const [file, text] of Object.entries(tokenizerFiles(task))) files[join("tokenizer", file)] = text;
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text);
  return Object.keys(files).map((file) => join(directory, file));
}

/** Each example with several of its valid completions, where it has them. */
function varied({ vary }: GeneratedTask, examples: readonly Example[], variants: number): readonly Example[] {
  if (!vary) return examples;
  return Array.from({ length: variants }, (_, variant) =>
    examples.map((example) => ({ ...example, completion: vary(example, variant) })),
  ).flat();
}

/** Examples as the rows of a dataset. */
export const jsonl = (examples: readonly Partial<Example>[]): string => examples.map((example) => `${JSON.stringify(example)}\n`).join("");

/** The tokenizer, and a config.json with what a model must know of it. */
export function tokenizerFiles({ tokenizer }: GeneratedTask): Record<string, string> {
  const { files, specials } = tokenizer();
  const json = found(files["tokenizer.json"], "the tokenizer's tokenizer.json");
  const { vocab } = (JSON.parse(json) as { model: { vocab: Record<string, number> } }).model;
  const { bosId, eosId, padId } = specials;
  const config = { vocab_size: Object.keys(vocab).length, bos_token_id: bosId, eos_token_id: eosId, pad_token_id: padId };
  return { ...files, "config.json": `${JSON.stringify(config, null, 2)}\n` };
}
