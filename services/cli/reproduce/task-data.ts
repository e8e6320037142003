import { access, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tasks } from "../../shared/ml/text/tasks/table.js";
import { jsonl, writeTask } from "../models/task-files.js";
import type { Recipe } from "./experiment.js";

/** Raised when a task's examples or their split change, so that nothing made from the old ones is used again. */
export const datasetVersion = 1;

/** Writes a recipe's datasets, unless they are there: those of its task, and also-held-out.jsonl. */
export async function writeData(recipe: Recipe, directory: string): Promise<void> {
  const there = await access(directory).then(
    () => true,
    () => false,
  );
  if (there) return;
  const { task, alsoTaught, train, sft, variants } = recipe;
  const partial = `${directory}.part`;
  await rm(partial, { recursive: true, force: true });
  await writeTask(task, partial, { train, sft, variants, seed: 1n });
  if (alsoTaught) {
    const more = tasks[alsoTaught]!.examples();
    const all = join(partial, "all.jsonl");
    await writeFile(all, (await readFile(all, "utf8")) + jsonl(more));
    await writeFile(join(partial, "also-held-out.jsonl"), jsonl(more));
  }
  await rename(partial, directory);
}
