import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { RetortError } from "../../shared/base/errors.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { print } from "../command.js";
import type { ControllerClient } from "../local.js";
import { type ControllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";

/** Options of `retort rm`. */
export interface RemoveOptions extends ControllerOptions {
  readonly yes?: boolean;
}

/** What became of one run. */
interface Removed {
  readonly runId: string;
  readonly freedBytes: number;
  /** The trained student, which stays; empty if there is none. */
  readonly output: string;
}

/** Deletes runs that are over: all of them are looked at before the first is deleted. */
export function removeRuns(program: Command, named: readonly string[], options: RemoveOptions): Promise<void> {
  return withController(options, async (controller) => {
    const ids = [...new Set(await Promise.all(named.map((one) => findRun(controller, one))))];
    const runs = await Promise.all(ids.map((runId) => overOrLost(controller, runId)));
    if (!options.yes) await confirm(ids, runs);
    const removed: Removed[] = [];
    // What may not be there comes first: if it is not, nothing has been deleted yet.
    const order = ids
      .map((runId, i) => ({ runId, run: runs[i] }))
      .sort((a, b) => Number(a.run !== undefined) - Number(b.run !== undefined));
    for (const { runId, run } of order) {
      const { freedBytes } = await controller.deleteRun({ runId });
      removed.push({ runId, freedBytes: Number(freedBytes), output: run?.output ?? "" });
    }
    const lines = removed.map(
      ({ runId, freedBytes, output }) =>
        `${runId}: deleted, ${bytesInWords(freedBytes)} free again${output ? `; its trained student stays in ${output}` : ""}`,
    );
    print(program, removed, lines.join("\n"));
  });
}

/** A run that is over; undefined for one whose record is lost: the controller may still find what is left of it. */
async function overOrLost(controller: ControllerClient, runId: string): Promise<Run | undefined> {
  const run = await controller.getRun({ runId }).then(
    (answer) => answer.run,
    (error: unknown) => {
      if (!["NotFound", "DataLoss"].includes(RetortError.from(error).code)) throw error;
      return undefined;
    },
  );
  if (run && !isOver(run.state))
    throw new RetortError(
      "FailedPrecondition",
      `run ${runId} is ${RunState[run.state].toLowerCase()}; stop it first: retort stop ${runId}. Nothing was deleted`,
    );
  return run;
}

async function confirm(ids: readonly string[], runs: readonly (Run | undefined)[]): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new RetortError(
      "InvalidArgument",
      "this deletes checkpoints, stored weights, logs and events; give --yes to do so without a question",
    );
  for (const [i, runId] of ids.entries()) {
    const run = runs[i];
    const words = run
      ? `${RunState[run.state].toLowerCase()} at step ${run.step}/${run.totalSteps}, ${bytesInWords(Number(run.sizeBytes))}`
      : "its record is lost";
    console.error(`${runId}: ${words}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal
    .question("Delete checkpoints, stored weights, logs and events? The trained student stays. [y/N] ")
    .finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new RetortError("Cancelled", "nothing was deleted", { retry: "never" });
}
