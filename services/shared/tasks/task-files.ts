import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { counted } from "../base/counted.js";
import { RetortError } from "../base/errors.js";
import { found } from "../base/found.js";
import { ownDirectory } from "../base/own-directory.js";
import { permutation } from "../base/random.js";
import { taskNamed } from "./table.js";
import type { Example, GeneratedTask, TurnRow } from "./task.js";

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
 * `tokenizer` from which models are started. Of a task that takes several turns, all.jsonl and sft.jsonl have a row for each turn,
 * and so has train-turns.jsonl, for the rows of train.jsonl. Returns their paths.
 *
 * @throws InvalidArgument if there is no such task, or too few examples
 */
export async function writeTask(name: string, directory: string, { train, sft, seed, variants = 1, force }: Split): Promise<string[]> {
  const task = taskNamed(name);
  const examples = task.examples();
  if (!(sft <= train && train < examples.length))
    throw new RetortError(
      "InvalidArgument",
      `--train ${train} and --sft ${sft}: ${name} has ${counted(examples.length, "example")}, some must stay held out`,
    );
  const shuffled = Array.from(permutation(seed, examples.length), (i) => examples[i]!);
  const parts = {
    train: shuffled.slice(0, train),
    "held-out": shuffled.slice(train),
    ...taught(task, examples, shuffled, { train, sft, variants }),
  };
  await ownDirectory(directory, "task", { force, unmarked: [...Object.keys(parts).map((part) => `${part}.jsonl`), "tokenizer"] });
  await mkdir(join(directory, "tokenizer"), { recursive: true });
  const files: Record<string, string> = Object.fromEntries(Object.entries(parts).map(([part, list]) => [`${part}.jsonl`, jsonl(list)]));
  for (const [file, text] of Object.entries(tokenizerFiles(task))) files[join("tokenizer", file)] = text;
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text);
  return Object.keys(files).map((file) => join(directory, file));
}

/** Share of an example's turns before which a wrong one stands in all.jsonl. */
const slips = 0.3;

/** The files that models are taught from: all.jsonl and sft.jsonl; of tasks that take several turns also train-turns.jsonl, and each row is a turn. */
function taught(
  task: GeneratedTask,
  examples: readonly Example[],
  shuffled: readonly Example[],
  { train, sft, variants }: Required<Pick<Split, "train" | "sft" | "variants">>,
): Record<string, readonly Partial<Example | TurnRow>[]> {
  const { turns } = task;
  if (!turns) return { all: varied(task, examples, variants), sft: shuffled.slice(0, sft) };
  const right = (list: readonly Example[]) => list.flatMap((example) => turns(example, 0, 0));
  const all = Array.from({ length: variants }, (_, variant) => examples.flatMap((example) => turns(example, slips, variant)));
  return { all: all.flat(), sft: right(shuffled.slice(0, sft)), "train-turns": right(shuffled.slice(0, train)) };
}

/** Each example with several of its valid completions, where it has them. */
function varied({ vary }: GeneratedTask, examples: readonly Example[], variants: number): readonly Example[] {
  if (!vary) return examples;
  return Array.from({ length: variants }, (_, variant) =>
    examples.map((example) => ({ ...example, completion: vary(example, variant) })),
  ).flat();
}

/** Examples as the rows of a dataset. */
export const jsonl = (examples: readonly Partial<Example | TurnRow>[]): string =>
  examples.map((example) => `${JSON.stringify(example)}\n`).join("");

/** The tokenizer, and a config.json with what a model must know of it. */
export function tokenizerFiles({ tokenizer }: GeneratedTask): Record<string, string> {
  const { files, specials } = tokenizer();
  const json = found(files["tokenizer.json"], "the tokenizer's tokenizer.json");
  const { vocab } = (JSON.parse(json) as { model: { vocab: Record<string, number> } }).model;
  const { bosId, eosId, padId } = specials;
  const config = { vocab_size: Object.keys(vocab).length, bos_token_id: bosId, eos_token_id: eosId, pad_token_id: padId };
  return { ...files, "config.json": `${JSON.stringify(config, null, 2)}\n` };
}
