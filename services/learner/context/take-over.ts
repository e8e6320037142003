import { ensureRun, ensureStreams, purgeEarlier } from "../../shared/flow/streams.js";
import { ResultsReader } from "../tasks/results-reader.js";
import { PolicyAnnouncer } from "./policy-announcer.js";
import { Reporter } from "./reporter.js";
import type { LearnerContext, RunContext } from "./run-context.js";

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
  return { ...context, fence, results, report: new Reporter(membership, fence), announcer: new PolicyAnnouncer(membership, fence) };
}
