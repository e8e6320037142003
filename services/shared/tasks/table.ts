import { RetortError } from "../base/errors.js";
import { calculator } from "./calculator.js";
import { gridNav } from "./grid-nav.js";
import { heldOutInstructions, instructions } from "./instructions.js";
import { mirrored } from "./mirrored.js";
import { names } from "./names.js";
import { num2words } from "./num2words.js";
import { num2wordsWords } from "./num2words-words.js";
import { numerals } from "./numerals.js";
import { summaries } from "./summaries.js";
import type { GeneratedTask } from "./task.js";
import { toolUse } from "./tool-use.js";

/** The tasks that Retort makes itself, by name. */
export const tasks: Readonly<Record<string, GeneratedTask>> = Object.fromEntries(
  [calculator, gridNav, heldOutInstructions, instructions, mirrored, names, num2words, num2wordsWords, numerals, summaries, toolUse].map(
    (task) => [task.name, task],
  ),
);

/** A task by its name. @throws InvalidArgument that lists the tasks that there are */
export function taskNamed(name: string): GeneratedTask {
  const task = tasks[name];
  if (!task) throw new RetortError("InvalidArgument", `there is no task "${name}"; known: ${Object.keys(tasks).join(", ")}`);
  return task;
}
