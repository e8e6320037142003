import type { Command } from "commander";
import { tasks } from "../../shared/tasks/table.js";
import { writeTask } from "../../shared/tasks/task-files.js";
import { addCommand, print, wholeNumber } from "../command.js";

type TaskOptions = Record<"train" | "sft" | "variants" | "seed", number> & { readonly force?: boolean };

/** Adds `retort task`. */
export function addTaskCommand(program: Command): void {
  addCommand(
    program,
    "Models and data:",
    "task <name> <dir>",
    "write a generated task: datasets as JSONL, and a tokenizer to start models with",
    [["task num2words ./data", `known tasks: ${Object.keys(tasks).join(", ")}`]],
  )
    .option("--train <n>", "training examples; the rest is held out", wholeNumber(1), 600)
    .option("--sft <n>", "training examples for the supervised start", wholeNumber(0), 150)
    .option("--variants <n>", "valid completions of each example in all.jsonl, for tasks with many", wholeNumber(1), 1)
    .option("--seed <n>", "seed of the split", wholeNumber(0), 1)
    .option("--force", "use a directory that holds other files; only files of the same names are replaced")
    .action(async (name: string, directory: string, options: TaskOptions) => {
      const { seed, ...split } = options;
      const files = await writeTask(name, directory, { ...split, seed: BigInt(seed) });
      print(program, files, files.join("\n"));
    });
}
