#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { type Argument, Command } from "commander";
import { wantsJson } from "./cli/command.js";
import { addDemoCommand } from "./cli/demo/command.js";
import { addDoctorCommand } from "./cli/machine/doctor-command.js";
import { addSetupCommand } from "./cli/machine/setup-command.js";
import { addExportCommand } from "./cli/models/export.js";
import { addImportCommand } from "./cli/models/import.js";
import { addModelCommands } from "./cli/models/model-commands.js";
import { addShrinkCommand } from "./cli/models/shrink.js";
import { addTrainClassifierCommand } from "./cli/models/train-classifier.js";
import { addReproduceCommand } from "./cli/reproduce/command.js";
import { addAuditCommand } from "./cli/runs/audit.js";
import { addRunCommands } from "./cli/runs/run-commands.js";
import { addServeCommand } from "./cli/serve.js";
import { supervisor } from "./cli/supervise.js";
import { errorTable, RetortError } from "./shared/base/errors.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };

const argumentTerm = (argument: Argument): string => {
  const name = argument.name() + (argument.variadic ? "…" : "");
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** An error as `--json` prints it; where in our code it arose concerns nobody but us. */
const errorJson = (error: RetortError): string => {
  const { stack, ...told } = error.toJSON();
  return JSON.stringify({ error: told });
};

const program = new Command("retort")
  .description("On-policy distillation of language models as a distributed service.")
  .version(version)
  .option("--json", "print the result as JSON on standard output; progress goes to standard error")
  .configureHelp({
    helpWidth: Math.min(process.stdout.columns ?? 100, 100),
    subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
  })
  .helpCommand(false)
  .showHelpAfterError("(add --help to see how it is used)")
  .addHelpText(
    "after",
    `
A first run, in two terminals:
  retort up                                          # NATS and the controller, until Ctrl-C
  retort run deploy/examples/num2words/on-policy.yaml

\`retort COMMAND --help\` shows a command's options and examples.
Exit codes: 0 done, 64 wrong input, 66 not found, 69 no server, 70 a bug, 75 try again, 78 not possible now.`,
  )
  .enablePositionalOptions()
  .exitOverride(({ exitCode, message }) => {
    if (exitCode && process.argv.includes("--json"))
      console.log(errorJson(new RetortError("InvalidArgument", message.replace(/^error: /, ""))));
    process.exit(exitCode ? errorTable.InvalidArgument.exit : 0);
  })
  // `--json` is understood before the command and behind it.
  .hook("preAction", (_, command) => {
    if (command.opts<{ json?: boolean }>().json) program.setOptionValue("json", true);
  });

addDemoCommand(program);
addDoctorCommand(program);
addSetupCommand(program);
addReproduceCommand(program);
addRunCommands(program);
addAuditCommand(program);
addModelCommands(program);
addTrainClassifierCommand(program);
addExportCommand(program);
addImportCommand(program);
addShrinkCommand(program);
addServeCommand(program);

program.parseAsync().catch(async (thrown: unknown) => {
  // What a command says that is being ended is a consequence of that.
  await supervisor.ending;
  const error = RetortError.from(thrown);
  if (wantsJson(program)) console.log(errorJson(error));
  console.error(`retort: ${error.message}`);
  process.exit(error.exitCode);
});
