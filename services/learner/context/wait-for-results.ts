import type { Rollout } from "../../shared/gen/retort/v1/flow_pb.js";
import { owed } from "../tasks/owed.js";
import { type PlannedTask, rolloutFault, soundResults } from "../tasks/planned-task.js";
import type { CompleteResults, WaitOptions } from "../tasks/results-reader.js";
import { guard, isStopping } from "./guard.js";
import type { RunContext } from "./run-context.js";

/**
 * Waits for the results of tasks that were issued, and holds them against what was asked.
 *
 * @param token the tasks' step, as subjects name it
 * @param progress told how many tasks are settled, and what is missing of the others
 * @param interrupted ends the wait; by default when the run is to stop
 * @returns one per task, in order; undefined if it was interrupted
 * @throws DeadlineExceeded that says what is missing; Aborted if another learner takes the run over meanwhile
 */
export async function waitForResults(
  context: RunContext,
  token: string,
  planned: readonly PlannedTask[],
  progress: NonNullable<WaitOptions["progress"]>,
  interrupted: (context: RunContext) => Promise<boolean> = isStopping,
): Promise<CompleteResults[] | undefined> {
  const { results, membership, report, announcer } = context;
  const timeoutMs = membership.run.stepTimeoutMs;
  const waiting = (missing: string, seconds: number) => {
    report.waiting("learner", `step ${token}: ${missing}`, seconds, timeoutMs / 1000);
    // A student that has lost the announcement waits for one.
    announcer.repeat().catch(() => {});
  };
  const look = atMostEachSecond(async () => {
    await guard(context);
    return interrupted(context);
  });
  const spoilt = (rollout: Rollout, task: number) => rolloutFault(rollout, planned[task]!) !== undefined;
  const kind = `results of ${token}`;
  const open: WaitOptions["open"] = (tasks) =>
    context.progress.waitsFor(kind, owed(tasks.map(({ task, results: there }) => ({ task: planned[task]!, results: there }))));
  try {
    const found = await results.wait(token, planned.length, { timeoutMs, interrupted: look, spoilt, waiting, open, progress });
    return found && soundResults(found, planned);
  } finally {
    context.progress.waitsFor(kind, new Map());
  }
}

/** A question that is asked at every arrival, and costs a request: its answer is no older than a second. */
function atMostEachSecond(ask: () => Promise<boolean>): () => Promise<boolean> {
  let askedMs = Number.NEGATIVE_INFINITY;
  let answer = false;
  return async () => {
    if (performance.now() - askedMs < 1000) return answer;
    askedMs = performance.now();
    answer = await ask();
    return answer;
  };
}
