import { RetortError } from "../../shared/base/errors.js";
import type { Log } from "../../shared/base/log.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { ensureRun, ensureStreams, purgeEarlier } from "../../shared/flow/streams.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { TrainerOptions } from "../../shared/ml/training/trainer.js";
import type { TrainHost } from "../model/train-host.js";
import { type PlannedTask, rolloutFault, soundResults } from "../tasks/planned-task.js";
import { ResultsReader, type TaskResults } from "../tasks/results-reader.js";
import { Reporter } from "./reporter.js";

/** What a learner has before it takes its run over. */
export interface LearnerContext {
  readonly membership: Membership;
  readonly host: WorkerClient<TrainHost>;
  readonly log: Log;
  readonly dataDir: string;
  readonly device: TrainerOptions["device"];
  readonly threads: number;
  /** Aborted when the process is asked to stop. */
  readonly stop: AbortSignal;
  readonly onStep: (step: number, activity: string, stats?: StepStats, seconds?: number) => void;
}

/** A run that this learner has taken over. */
export interface RunContext extends LearnerContext {
  /** Higher than that of every learner before; what those issued is no longer asked for. */
  readonly fence: bigint;
  readonly results: ResultsReader;
  readonly report: Reporter;
  /** The newest version that was announced. */
  readonly announced: { version: number | undefined };
}

/** Takes a run over: an earlier learner's writes are refused from now on, and what it had issued is withdrawn. */
export async function takeOver(context: LearnerContext): Promise<RunContext> {
  const { membership, log, stop } = context;
  const { runs, runId, run, streams } = membership;
  await ensureStreams(streams);
  await ensureRun(streams, { runId, teachers: run.teachers, rewarded: run.replicas.reward > 0, maxAttempts: run.maxAttempts });
  const fence = await runs.fence(runId);
  await purgeEarlier(streams, runId, fence);
  const results = new ResultsReader(streams, runId, fence, log);
  void results.read(stop);
  return { ...context, fence, results, report: new Reporter(membership, fence), announced: { version: undefined } };
}

/** True if the run is to stop, or this process: what takes long is given up then. */
export async function isStopping({ membership, stop }: LearnerContext): Promise<boolean> {
  return stop.aborted || (await membership.runs.control(membership.runId)) === "stop";
}

/**
 * Waits for the results of tasks that were issued, and holds them against what was asked.
 *
 * @param token the tasks' step, as subjects name it
 * @param interrupted ends the wait; by default when the run is to stop
 * @returns one per task, in order; undefined if it was interrupted
 * @throws DeadlineExceeded that says what is missing; Aborted if another learner takes the run over meanwhile
 */
export async function waitFor(
  context: RunContext,
  token: string,
  planned: readonly PlannedTask[],
  interrupted: () => Promise<boolean> = () => isStopping(context),
): Promise<TaskResults[] | undefined> {
  const { results, membership, report } = context;
  const timeoutMs = membership.run.stepTimeoutMs;
  const waiting = (missing: string, seconds: number) => {
    report.waiting("learner", `step ${token}: ${missing}`, seconds, timeoutMs / 1000);
    // A student that has lost the announcement waits for one.
    announce(context).catch(() => {});
  };
  const look = atMostEachSecond(async () => {
    await guard(context);
    return interrupted();
  });
  const spoilt = ({ rollout }: TaskResults, task: number) => rollout !== undefined && rolloutFault(rollout, planned[task]!) !== undefined;
  const found = await results.wait(token, planned.length, { timeoutMs, interrupted: look, spoilt, waiting });
  return found && soundResults(found, planned);
}

/** Says again which version there is. */
async function announce({ membership: { runs, runId }, fence, announced: { version } }: RunContext): Promise<void> {
  if (version !== undefined) await runs.setPolicy(runId, { version, fence });
}

/** A question that is asked at every arrival, and costs a request: its answer is no older than a second. */
function atMostEachSecond(ask: () => Promise<boolean>): () => Promise<boolean> {
  let asked = Number.NEGATIVE_INFINITY;
  let answer = false;
  return async () => {
    if (performance.now() - asked < 1000) return answer;
    asked = performance.now();
    answer = await ask();
    return answer;
  };
}

/** Refuses to go on when another learner has taken the run over. */
export async function guard({ membership: { runs, runId }, fence: own }: RunContext): Promise<void> {
  const { fence } = await runs.get(runId);
  if (fence !== own)
    throw new RetortError("Aborted", `run ${runId} was taken over by another learner (fence ${fence}, ours ${own})`, { retry: "never" });
}
