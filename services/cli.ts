#!/usr/bin/env node
import { Command } from "commander";
import { addDemoCommand } from "./cli/demo/command.js";
import { addModelCommands } from "./cli/model-commands.js";
import { addRunCommands } from "./cli/run-commands.js";
import { RetortError } from "./shared/base/errors.js";

const program = new Command("retort")
  .description("On-policy distillation of language models as a distributed service.")
  .option("--json", "print a machine-readable result on standard output")
  .configureHelp({ sortSubcommands: true, showGlobalOptions: true })
  .showHelpAfterError("(retort --help lists the commands)")
  .enablePositionalOptions();

addRunCommands(program);
addModelCommands(program);
addDemoCommand(program);

program.parseAsync().catch((thrown: unknown) => {
  const error = RetortError.from(thrown);
  if (program.opts().json) console.log(JSON.stringify({ error: error.toJSON() }));
  console.error(`retort: ${error.message}`);
  process.exit(error.exitCode);
});
