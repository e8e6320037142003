#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { type Argument, Command } from "commander";
import { wantsJson } from "./cli/command.js";
import { locateArguments } from "./cli/located.js";
import { supervisor } from "./cli/supervise.js";
import { errorTable, RetortError } from "./shared/base/errors.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };

const argumentTerm = (argument: Argument): string => {
  const name = argument.name() + (argument.variadic ? "…" : "");
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** An error as `--json` prints it; where in our code it arose is left out. */
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
  .hook("preAction", async (_, command) => {
    if (command.opts<{ json?: boolean }>().json) program.setOptionValue("json", true);
    await locateArguments(command);
  });

/** Where the commands are, in the order of the help. Loading them all takes a second: only the one that is asked for is. */
const commands: readonly (readonly [names: string, load: () => Promise<(program: Command) => void>])[] = [
  ["demo", async () => (await import("./cli/demo/command.js")).addDemoCommand],
  ["doctor", async () => (await import("./cli/machine/doctor-command.js")).addDoctorCommand],
  ["setup", async () => (await import("./cli/machine/setup-command.js")).addSetupCommand],
  ["reproduce", async () => (await import("./cli/reproduce/command.js")).addReproduceCommand],
  ["up validate run watch runs rm pause stop resume", async () => (await import("./cli/runs/run-commands.js")).addRunCommands],
  ["logs", async () => (await import("./cli/runs/logs-command.js")).addLogsCommand],
  ["report", async () => (await import("./cli/report/report-command.js")).addReportCommand],
  ["audit", async () => (await import("./cli/runs/audit.js")).addAuditCommand],
  ["sample", async () => (await import("./cli/models/sample-command.js")).addSampleCommand],
  ["eval", async () => (await import("./cli/models/eval-command.js")).addEvalCommand],
  ["fetch", async () => (await import("./cli/models/fetch-command.js")).addFetchCommand],
  ["models", async () => (await import("./cli/models/models-command.js")).addModelsCommand],
  ["data", async () => (await import("./cli/models/data-command.js")).addDataCommand],
  ["task", async () => (await import("./cli/models/task-command.js")).addTaskCommand],
  ["train-classifier", async () => (await import("./cli/models/train-classifier.js")).addTrainClassifierCommand],
  ["export", async () => (await import("./cli/models/export.js")).addExportCommand],
  ["import", async () => (await import("./cli/models/import.js")).addImportCommand],
  ["shrink", async () => (await import("./cli/models/shrink.js")).addShrinkCommand],
  ["serve", async () => (await import("./cli/serve.js")).addServeCommand],
];

async function main(argv: readonly string[]): Promise<void> {
  const word = argv.find((argument) => !argument.startsWith("-")) ?? "";
  const asked = commands.filter(([names]) => names.split(" ").includes(word));
  for (const add of await Promise.all((asked.length ? asked : commands).map(([, load]) => load()))) add(program);
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
