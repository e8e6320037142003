#!/usr/bin/env node
import "./shared/base/no-telemetry.js";
import type { Command } from "commander";
import { wantsJson } from "./cli/command.js";
import { bareProgram, commandNames, loadCommands } from "./cli/program.js";
import { locateArguments } from "./cli/runs/located.js";
import { supervisor } from "./cli/supervise.js";
import { errorTable, RetortError } from "./shared/base/errors.js";

/** An error as `--json` prints it; where in our code it arose is left out. */
const errorJson = (error: RetortError): string => {
  const { stack, ...told } = error.toJSON();
  return JSON.stringify({ error: told });
};

/** A word that isn't understood ends the program with one line, or with JSON. */
const refuse = (program: Command): Command =>
  program.exitOverride(({ exitCode, message }) => {
    if (exitCode && process.argv.includes("--json"))
      console.log(errorJson(new RetortError("InvalidArgument", message.replace(/^error: /, ""))));
    process.exit(exitCode ? errorTable.InvalidArgument.exit : 0);
  });

const program = bareProgram(refuse);
// `--json` is understood before the command and behind it.
program.hook("preAction", async (_, command) => {
  if (command.opts<{ json?: boolean }>().json) program.setOptionValue("json", true);
  await locateArguments(command);
});

async function main(argv: readonly string[]): Promise<void> {
  const [word = "", separator] = argv;
  if (word === "complete" && separator === "--") {
    const { complete } = await import("./cli/completion/complete.js");
    const load = async (name: string) => commandNames.includes(name) && loadCommands(program, name);
    return complete(program, argv.slice(2), { names: commandNames, load });
  }
  await loadCommands(
    program,
    argv.find((argument) => !argument.startsWith("-")),
  );
  await program.parseAsync();
}

main(process.argv.slice(2)).catch(async (thrown: unknown) => {
  // What a command says that is being ended is a consequence of that.
  await supervisor.ending;
  const error = RetortError.from(thrown);
  if (wantsJson(program)) console.log(errorJson(error));
  console.error(`retort: ${error.message}`);
  process.exit(error.exitCode);
});
