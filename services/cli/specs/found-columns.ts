import { RetortError } from "../../shared/base/errors.js";
import { readObjects } from "../../shared/flow/prompts/dataset.js";
import { usualCompletions, usualPrompts } from "../../shared/flow/prompts/rows/hints.js";

/** Columns of a dataset, as a spec names them; what has the default's name is left out. */
export interface NamedColumns {
  readonly promptField?: string;
  readonly completionField?: string;
  readonly referenceField?: string;
  readonly messagesField?: string;
}

/** Columns that the user has named. */
export interface ColumnOptions {
  readonly prompt?: string | undefined;
  readonly completion?: string | undefined;
  readonly reference?: string | undefined;
}

/** What columns of conversations are called. */
const conversations = ["messages", "conversations", "conversation"];

/**
 * Which columns of a dataset are prompts and completions: those that are named, else those of Retort's own names, else of usual ones.
 *
 * @throws InvalidArgument with the dataset's columns if none can be prompts, or a named one isn't there
 */
export async function foundColumns(path: string, named: ColumnOptions): Promise<NamedColumns> {
  const columns: string[] = [];
  for await (const { object } of readObjects(path, 1)) columns.push(...Object.keys(object));
  const all = columns.join(", ") || "none";
  for (const [option, column] of Object.entries(named))
    if (column !== undefined && !columns.includes(column))
      throw new RetortError("InvalidArgument", `--${option} is ${column}, and ${path} has the columns ${all}`);
  if (!named.prompt && columns.includes("instruction") && columns.includes("input"))
    throw new RetortError(
      "InvalidArgument",
      `${path} has the columns ${all}: a prompt is one column here; write instruction and input into one, or name the one to read with --prompt`,
    );
  const first = (names: readonly string[]) => names.find((name) => columns.includes(name));
  const completion = named.completion ?? first(["completion", ...usualCompletions]);
  const messages = named.prompt ? undefined : first(conversations);
  const prompt = named.prompt ?? (messages ? undefined : first(["prompt", ...usualPrompts]));
  if (!prompt && !messages)
    throw new RetortError(
      "InvalidArgument",
      `${path} has the columns ${all}: name the one with the prompts, as --prompt ${columns[0] ?? "COLUMN"}`,
    );
  return {
    ...(prompt && prompt !== "prompt" ? { promptField: prompt } : {}),
    ...(messages && messages !== "messages" ? { messagesField: messages } : {}),
    // The assistant's last message is the completion of a conversation.
    ...(completion && completion !== "completion" && !(messages && !named.completion) ? { completionField: completion } : {}),
    ...(named.reference && named.reference !== "reference" ? { referenceField: named.reference } : {}),
  };
}
