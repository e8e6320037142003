import { setTimeout as sleep } from "node:timers/promises";
import { type Command, Option } from "commander";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { addCommand, wantsJson } from "../command.js";
import type { ControllerClient } from "../local.js";
import { type ControllerOptions, controllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";
import { type LogLine, LogTail, linesForPeople } from "./log-lines.js";

interface LogsOptions extends ControllerOptions {
  readonly role?: string;
  readonly follow?: boolean;
}

/** What is asked of each log: more than a second brings. */
const maxBytes = 64 * 1024;
const pauseMs = 1000;

/** Adds `retort logs`. */
export function addLogsCommand(program: Command): void {
  const command = addCommand(
    program,
    "Runs:",
    "logs <run>",
    "show the last lines that a run's processes logged, in the order of their times",
    [
      ["logs last", "of the newest run"],
      ["logs last --role teacher --follow", "of its teachers, and on until the run is over"],
      ["logs last --json | jq -r 'select(.role == \"learner\").line'", "each line as its process wrote it"],
    ],
  )
    .addOption(new Option("--role <role>", "of the processes of one role").choices(["student", "teacher", "reward", "learner"]))
    .option("-f, --follow", "keep printing what is logged, until Ctrl-C");
  controllerOptions(command).action((named: string, options: LogsOptions) =>
    withController(options, async (controller) => {
      const words = wantsJson(program) ? ({ timeMs, ...line }: LogLine) => JSON.stringify(line) : linesForPeople(process.stdout);
      await showLogs(controller, await findRun(controller, named), options, (line) => console.log(words(line)));
    }),
  );
}

async function showLogs(
  controller: ControllerClient,
  runId: string,
  { role = "", follow = false }: LogsOptions,
  show: (line: LogLine) => void,
): Promise<void> {
  const tail = new LogTail();
  const read = async () => {
    const { logs } = await controller.readLogs({ runId, role, maxBytes });
    for (const line of tail.next(logs)) show(line);
    return logs.length;
  };
  const count = await read();
  if (!count) console.error(`run ${runId} has no logs${role ? ` of a ${role}` : ""} here`);
  // What is said before the run is known to be over has been read after that.
  for (let over = false; follow && !over; ) {
    await sleep(pauseMs);
    const { run } = await controller.getRun({ runId });
    over = !run || isOver(run.state);
    await read();
  }
}
