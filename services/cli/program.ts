import { readFileSync } from "node:fs";
import { type Argument, Command } from "commander";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

const argumentTerm = (argument: Argument): string => {
  const name = argument.name() + (argument.variadic ? "…" : "");
  return argument.required ? `<${name}>` : `[${name}]`;
};

/** Where the commands are, in the order of the help. Loading them all takes a second: only the one that is asked for is. */
const commands: readonly (readonly [names: string, load: () => Promise<(program: Command) => void>])[] = [
  ["demo", async () => (await import("./demo/command.js")).addDemoCommand],
  ["doctor", async () => (await import("./machine/doctor-command.js")).addDoctorCommand],
  ["setup", async () => (await import("./machine/setup-command.js")).addSetupCommand],
  ["completion", async () => (await import("./completion/command.js")).addCompletionCommand],
  ["init", async () => (await import("./specs/init-command.js")).addInitCommand],
  ["reproduce", async () => (await import("./reproduce/command.js")).addReproduceCommand],
  ["up validate run watch runs rm pause stop resume", async () => (await import("./runs/run-commands.js")).addRunCommands],
  ["plan", async () => (await import("./plan/command.js")).addPlanCommand],
  ["upload uploads", async () => (await import("./runs/upload-command.js")).addUploadCommands],
  ["top", async () => (await import("./runs/top-command.js")).addTopCommand],
  ["logs", async () => (await import("./runs/logs-command.js")).addLogsCommand],
  ["report", async () => (await import("./report/report-command.js")).addReportCommand],
  ["audit", async () => (await import("./runs/audit.js")).addAuditCommand],
  ["sample", async () => (await import("./models/sample-command.js")).addSampleCommand],
  ["eval", async () => (await import("./models/eval-command.js")).addEvalCommand],
  ["fetch", async () => (await import("./models/fetch-command.js")).addFetchCommand],
  ["models", async () => (await import("./models/models-command.js")).addModelsCommand],
  ["data", async () => (await import("./models/data-command.js")).addDataCommand],
  ["task", async () => (await import("./models/task-command.js")).addTaskCommand],
  ["train-classifier", async () => (await import("./models/train-classifier.js")).addTrainClassifierCommand],
  ["export", async () => (await import("./models/export.js")).addExportCommand],
  ["import", async () => (await import("./models/import.js")).addImportCommand],
  ["shrink", async () => (await import("./models/shrink.js")).addShrinkCommand],
  ["serve", async () => (await import("./serve.js")).addServeCommand],
];

/** What the commands are called, in the order of the help. */
export const commandNames: readonly string[] = commands.flatMap(([names]) => names.split(" "));

/** Adds the commands that a word may name to a program; all of them where none is called so. */
export async function loadCommands(program: Command, word = ""): Promise<void> {
  const asked = commands.filter(([names]) => names.split(" ").includes(word));
  for (const [, load] of asked.length ? asked : commands) (await load())(program);
}

/**
 * `retort` without its commands.
 *
 * @param prepare sets what the commands are to inherit
 */
export function bareProgram(prepare: (program: Command) => void): Command {
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
    .enablePositionalOptions();
  prepare(program);
  return program;
}

/** `retort` with its commands, as yet without what happens around one. @param prepare as {@link bareProgram} @param word as {@link loadCommands} */
export async function makeProgram(prepare: (program: Command) => void, word = ""): Promise<Command> {
  const program = bareProgram(prepare);
  await loadCommands(program, word);
  return program;
}
