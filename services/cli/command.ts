import { type Command, InvalidArgumentError } from "commander";

/** The groups of `retort --help`, in its order. */
export type CommandGroup = "Start here:" | "Runs:" | "Models and data:";

/** A command as all of ours are: it takes `--json`, and its help ends with examples. */
export function addCommand(
  program: Command,
  group: CommandGroup,
  usage: string,
  description: string,
  examples: readonly (readonly [string, string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  retort ${line.padEnd(width)}   # ${meaning}`);
  return program
    .command(usage)
    .helpGroup(group)
    .description(description)
    .option("--json", "print the result as JSON on standard output")
    .addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** True if the result is to be JSON, wherever on the command line that was said. */
export const wantsJson = (program: Command): boolean => program.opts<{ json?: boolean }>().json ?? false;

/** Prints a command's result: as JSON, or as text for people. */
export function print(program: Command, value: unknown, text: string): void {
  if (wantsJson(program)) console.log(JSON.stringify(value));
  else if (text) console.log(text);
}

/** Reads an option's number within bounds. */
export function decimal(min: number, max = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      max === Number.POSITIVE_INFINITY ? `It must be a number from ${min} on.` : `It must lie in [${min}, ${max}].`,
    );
  };
}

/** Reads an option's whole number within bounds. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const read = decimal(min, max);
  return (text) => {
    const value = read(text);
    if (Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError("It must be a whole number.");
  };
}
