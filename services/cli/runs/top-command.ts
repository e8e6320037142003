import { setTimeout as sleep } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { ReadProcessesResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import { addCommand, decimal, wantsJson } from "../command.js";
import type { ControllerClient } from "../local.js";
import { type ControllerOptions, controllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";
import { runJson, runOf } from "./runs.js";
import { type GoingRun, topText } from "./top-text.js";

interface TopOptions extends ControllerOptions {
  readonly once?: boolean;
  readonly interval: number;
}

/** Adds `retort top`. */
export function addTopCommand(program: Command): void {
  const command = addCommand(program, "Runs:", "top [run...]", "show what runs are at: processes, queues, rates, staleness, memory", [
    ["top", "every run that is going, each second until Ctrl-C"],
    ["top last --once", "the newest run, once"],
    ["top --json --once | jq '.[].queues'", "for scripts; without --once a line each second"],
  ])
    .option("--once", "print it once; where the output is no terminal, that is all that is done")
    .option("--interval <seconds>", "time between two looks", decimal(0.2, 3600), 1);
  controllerOptions(command).action((named: string[], options: TopOptions) =>
    withController(options, (controller) => show(program, controller, named, options)),
  );
}

async function show(
  program: Command,
  controller: ControllerClient,
  named: readonly string[],
  { once, interval }: TopOptions,
): Promise<void> {
  const json = wantsJson(program);
  const runIds: string[] = [];
  for (const name of named) runIds.push(await findRun(controller, name));
  const { stdout } = process;
  const isLive = !once && (json || stdout.isTTY);
  const update = isLive && !json ? createLogUpdate(stdout) : (text: string) => console.log(text);
  for (;;) {
    const runs = await look(controller, runIds);
    const none = named.length ? "" : "no run is going; `retort runs` lists those that are over";
    const text = json ? JSON.stringify(runs.map(jsonOf)) : topText(runs, Date.now(), stdout) || none;
    // What is higher than the terminal would be drawn again below itself.
    update(
      isLive && !json
        ? text
            .split("\n")
            .slice(0, Math.max(1, stdout.rows - 1))
            .join("\n")
        : text,
    );
    if (!isLive || (named.length > 0 && runs.every(({ run }) => isOver(run.state)))) return;
    await sleep(interval * 1000);
  }
}

/** The runs that are asked for, or those that aren't over. */
async function look(controller: ControllerClient, runIds: readonly string[]): Promise<GoingRun[]> {
  const runs = runIds.length
    ? await Promise.all(runIds.map(async (runId) => runOf(await controller.getRun({ runId }))))
    : (await controller.listRuns({})).runs.filter(({ state }) => !isOver(state));
  return Promise.all(runs.map(async (run) => ({ run, state: await controller.readProcesses({ runId: run.runId }) })));
}

const jsonOf = ({ run, state }: GoingRun): object => ({ run: runJson(run), ...(toJson(ReadProcessesResponseSchema, state) as object) });
