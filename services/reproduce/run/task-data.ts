import { access, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { taskNamed } from "../../shared/tasks/table.js";
import type { Example } from "../../shared/tasks/task.js";
import { jsonl, writeTask } from "../../shared/tasks/task-files.js";
import type { Recipe } from "../plan/experiment.js";

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Writes a recipe's datasets, unless they are there: those of its task, also-held-out.jsonl and few.jsonl. */
export async function writeData(recipe: Recipe, directory: string): Promise<void> {
  if (!(await isThere(directory))) await writeTaskData(recipe, directory);
  const few = join(directory, "few.jsonl");
  if (!(await isThere(few))) await writeFile(few, fewReferences(await readFile(join(directory, "train.jsonl"), "utf8"), recipe.sft));
}

/** The rows of a dataset of which only the first keep their completions. */
function fewReferences(rows: string, completed: number): string {
  const lines = rows.trim().split("\n");
  return jsonl(
    lines.map((line, i) => {
      const { completion, ...row } = JSON.parse(line) as Example;
      return i < completed ? { ...row, completion } : row;
    }),
  );
}

async function writeTaskData(recipe: Recipe, directory: string): Promise<void> {
  const { task, alsoTaught, train, sft, variants } = recipe;
  const partial = `${directory}.part`;
  await rm(partial, { recursive: true, force: true });
  await writeTask(task, partial, { train, sft, variants, seed: 1n });
  if (alsoTaught) {
    const more = taskNamed(alsoTaught).examples();
    const all = join(partial, "all.jsonl");
    await writeFile(all, (await readFile(all, "utf8")) + jsonl(more));
    await writeFile(join(partial, "also-held-out.jsonl"), jsonl(more));
  }
  for (const kind of recipe.domains ?? [])
    for (const part of ["all", "held-out"])
      await writeFile(join(partial, `${part}-${kind}.jsonl`), await rowsOf(join(partial, `${part}.jsonl`), kind));
  await rename(partial, directory);
}

/** The rows of a dataset that are of a kind. */
async function rowsOf(path: string, kind: string): Promise<string> {
  const lines = (await readFile(path, "utf8")).trim().split("\n");
  return jsonl(lines.map((line) => JSON.parse(line) as Example).filter((example) => example.kind === kind));
}
