import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import { permutation } from "../shared/base/random.js";
import { characterTokenizer } from "../shared/ml/text/character-tokenizer.js";
import { num2words } from "../shared/ml/text/tasks/num2words.js";
import type { Example, GeneratedTask } from "../shared/ml/text/tasks/task.js";

/** The tasks that Retort makes itself, by name. */
export const tasks: Readonly<Record<string, GeneratedTask>> = { num2words };

export interface Split {
  readonly train: number;
  readonly sft: number;
  readonly seed: bigint;
}

/**
 * Writes a task's files: all.jsonl, train.jsonl, sft.jsonl (the first of train) and held-out.jsonl, and a directory
 * `tokenizer` from which models are started. Gives their paths.
 */
export async function writeTask(name: string, directory: string, { train, sft, seed }: Split): Promise<string[]> {
  const task = tasks[name];
  if (!task) throw new RetortError("InvalidArgument", `there is no task "${name}"; known: ${Object.keys(tasks).join(", ")}`);
  const { examples } = task;
  if (!(sft <= train && train < examples.length))
    throw new RetortError(
      "InvalidArgument",
      `--train ${train} and --sft ${sft}: ${name} has ${examples.length} examples, some must stay held out`,
    );
  const shuffled = Array.from(permutation(seed, examples.length), (i) => examples[i]!);
  const parts = { all: examples, train: shuffled.slice(0, train), sft: shuffled.slice(0, sft), "held-out": shuffled.slice(train) };
  await mkdir(join(directory, "tokenizer"), { recursive: true });
  const files: Record<string, string> = Object.fromEntries(Object.entries(parts).map(([part, list]) => [`${part}.jsonl`, jsonl(list)]));
  for (const [file, text] of Object.entries(tokenizerFiles(task))) files[join("tokenizer", file)] = text;
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text);
  return Object.keys(files).map((file) => join(directory, file));
}

const jsonl = (examples: readonly Example[]): string => examples.map((example) => `${JSON.stringify(example)}\n`).join("");

/** The tokenizer, and a config.json with what a model must know of it. */
function tokenizerFiles({ alphabet }: GeneratedTask): Record<string, string> {
  const tokenizer = characterTokenizer(alphabet);
  const { bosId, eosId, padId } = tokenizer.specials;
  const config = { vocab_size: new Set(alphabet).size + 3, bos_token_id: bosId, eos_token_id: eosId, pad_token_id: padId };
  return { ...tokenizer.files, "config.json": `${JSON.stringify(config, null, 2)}\n` };
}
