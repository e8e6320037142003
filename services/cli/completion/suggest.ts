import type { Argument, Command, Option } from "commander";

/** What may come in the place of the last word. */
export interface Suggestion {
  /** What is completed where no word fits. */
  readonly kind: "words" | "files" | "directories";
  readonly words: readonly { readonly word: string; readonly meaning: string }[];
}

/** What there is to know beside the commands. */
export interface Sources {
  /** Ids of runs, newest first; none where no controller answers. @param words all that was typed */
  readonly runs: () => Promise<readonly { readonly word: string; readonly meaning: string }[]>;
  readonly roles: readonly string[];
}

const none: Suggestion = { kind: "words", words: [] };
const files: Suggestion = { kind: "files", words: [] };
const directories: Suggestion = { kind: "directories", words: [] };

/** What completes the last of some words behind a command's name. @param typed at least one; the last may be empty */
export async function suggest(command: Command, typed: readonly string[], sources: Sources): Promise<Suggestion> {
  const words = withoutEquals(typed);
  const current = words.at(-1) ?? "";
  const options = command.createHelp().visibleOptions(command);
  const named = (word: string) => options.find(({ long, short }) => word === long || word === short);
  let waiting: Option | undefined;
  let place = 0;
  let isOver = false;
  for (const word of words.slice(0, -1)) {
    if (waiting) waiting = undefined;
    else if (word === "--") isOver = true;
    else if (isOver || !word.startsWith("-")) place++;
    else if (!word.includes("=")) waiting = needsValue(named(word));
  }
  const [, flag, value] = isOver ? [] : (/^(--[\w-]+)=(.*)$/s.exec(current) ?? []);
  const option = waiting ?? (flag === undefined ? undefined : needsValue(named(flag)));
  if (option) return fitting(valuesOf(option), value ?? current);
  if (current.startsWith("-") && !isOver)
    return fitting(
      { kind: "words", words: options.flatMap(({ long, description }) => (long ? [{ word: long, meaning: description }] : [])) },
      current,
    );
  return fitting(await argumentsOf(argumentAt(command, place), sources), current);
}

/** bash takes `--option=value` for three words. */
function withoutEquals(typed: readonly string[]): readonly string[] {
  const words = typed.filter((word, i) => word !== "=" || i === typed.length - 1);
  return words.at(-1) === "=" ? [...words.slice(0, -1), ""] : words;
}

const needsValue = (option: Option | undefined): Option | undefined => (option?.required || option?.optional ? option : undefined);

function argumentAt({ registeredArguments }: Command, place: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[place] ?? (last?.variadic ? last : undefined);
}

/** What an option's value may be. */
function valuesOf({ argChoices, flags }: Option): Suggestion {
  if (argChoices) return { kind: "words", words: argChoices.map((word) => ({ word, meaning: "" })) };
  const what = /[<[]([\w:-]+)/.exec(flags)?.[1] ?? "";
  if (what === "dir") return directories;
  return what === "file" ? files : none;
}

/** What an argument may be: by its name in the command's usage. */
async function argumentsOf(argument: Argument | undefined, { runs, roles }: Sources): Promise<Suggestion> {
  if (argument?.argChoices) return { kind: "words", words: argument.argChoices.map((word) => ({ word, meaning: "" })) };
  switch (argument?.name()) {
    case "run":
    case "source":
      return { kind: "directories", words: await runs() };
    case "role":
      return { kind: "words", words: roles.map((word) => ({ word, meaning: "" })) };
    case "dir":
    case "directory":
    case "model":
      return directories;
    case "file":
    case "path":
    case "spec":
      return files;
    default:
      return none;
  }
}

const fitting = ({ kind, words }: Suggestion, begin: string): Suggestion => ({
  kind,
  words: words.filter(({ word }) => word.startsWith(begin)),
});
