import { realpath } from "node:fs/promises";
import { lockDirectory } from "../../shared/base/lock-directory.js";
import { checkDeletable, clearDirectory, ownDirectory } from "../../shared/base/own-directory.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { ControllerClient } from "../local.js";
import { startOwnService } from "../own-service.js";
import { checkSucceeded, type RunHistory, runOf, watchRun } from "../runs/runs.js";

/** What a demo before has left in its directory, and this one replaces. */
const leftovers = ["nats", "runs", "scores", "weights", "student", "data", "controller.log", "controller.pid", "address"];

/** Says a sentence about a demo's progress. */
export const say = (text: string): void => console.error(text);

/**
 * Runs a demo with a controller of its own, and ends that. What a demo before has left in the directory is removed first.
 *
 * @param force takes a directory that Retort did not make; nothing is deleted then
 * @throws FailedPrecondition if the directory is not ours, or in use
 */
export async function withStage<T>(
  dataDir: string,
  force: boolean | undefined,
  work: (controller: ControllerClient) => Promise<T>,
): Promise<T> {
  await startAnew(dataDir, force);
  const service = await startOwnService({ dataDir, progress: say, kind: "demo", force });
  try {
    return await work(service.controller);
  } finally {
    await service.stop();
  }
}

/** Runs a spec to its end. @throws what it failed with */
export async function runToEnd(controller: ControllerClient, spec: RunSpec): Promise<RunHistory> {
  const { runId } = runOf(await controller.startRun({ spec }));
  const history = await watchRun(controller, runId, new AbortController().signal);
  checkSucceeded(history.run);
  return history;
}

/** Empties the directory of what a demo before has left, unless a process still works in it. */
async function startAnew(dataDir: string, force: boolean | undefined): Promise<void> {
  checkDeletable(await realpath(dataDir).catch(() => dataDir));
  const directory = await ownDirectory(dataDir, "demo", { force });
  const lock = await lockDirectory(directory);
  try {
    await clearDirectory(directory, "demo", leftovers);
  } finally {
    await lock.release();
  }
}
