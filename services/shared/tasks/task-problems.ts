import type { Problem } from "../base/errors.js";
import { tasks } from "./table.js";

/** What is wrong with the tasks that rewards of kind `task` name. */
export const taskProblems = (rewards: readonly { readonly kind: string; readonly task: string }[]): Problem[] =>
  rewards.flatMap(({ kind, task }, i) => {
    if (kind !== "task" || Object.hasOwn(tasks, task)) return [];
    const wrong = task ? `is "${task}", and there is no such generated task` : "is missing";
    return [{ fieldPath: `rewards[${i}].task`, description: `${wrong}; name one of ${Object.keys(tasks).join(", ")}` }];
  });
