import { setTimeout as sleep } from "node:timers/promises";
import { streamNames } from "../../services/shared/flow/streams.js";
import type { RunEvent, StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { type Run, RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import type { ChaosCluster } from "./cluster.js";
import { sequencesPerStep } from "./specs.js";

/** What does not hold of a run that is over: one sentence each; empty if all is well. */
export async function problemsOf(cluster: ChaosCluster, run: Run, events: readonly RunEvent[]): Promise<string[]> {
  return [
    ...(run.state === RunState.SUCCEEDED ? [] : [`the run is ${RunState[run.state]}: ${run.message}`]),
    ...(run.state === RunState.SUCCEEDED ? stepProblems(run.totalSteps, events) : []),
    ...promptProblems(events),
    ...(await auditProblems(cluster, run, events)),
    ...(await leftProblems(cluster, run.runId)),
  ];
}

/** Every step's last telling counts: a learner that was lost may have told of it before. */
function stepProblems(totalSteps: number, events: readonly RunEvent[]): string[] {
  const last = new Map<number, StepFinished>();
  for (const { event } of events) if (event.case === "stepFinished") last.set(event.value.step, event.value);
  return Array.from({ length: totalSteps }, (_, i) => i + 1).flatMap((step) => {
    const told = last.get(step);
    if (!told) return [`no event tells of step ${step}`];
    if (told.sequences !== sequencesPerStep || told.failedPrompts !== 0)
      return [`step ${step} trained on ${told.sequences} of ${sequencesPerStep} sequences, ${told.failedPrompts} prompts failed`];
    return [];
  });
}

/** No prompt of these runs is poisoned: one that is lost was lost to a fault. */
const promptProblems = (events: readonly RunEvent[]): string[] =>
  events.flatMap(({ event }) => {
    if (event.case === "taskFailed") return [`step ${event.value.key?.step} lost a prompt: ${event.value.reason}`];
    if (event.case === "evaluationFinished" && event.value.failed > 0)
      return [`the evaluation of version ${event.value.version} lost ${event.value.failed}: ${event.value.failure}`];
    return [];
  });

/** The audit at the run's end, which its events tell, and another one now. */
async function auditProblems(cluster: ChaosCluster, { runId, state, totalSteps }: Run, events: readonly RunEvent[]): Promise<string[]> {
  const told = events.flatMap(({ event }) => (event.case === "auditFinished" ? [event.value] : []));
  const { audit } = await cluster.ask((controller) => controller.auditRun({ runId }));
  const problems = [told.at(-1), audit].flatMap((one) => (one && !one.holds ? one.problems.map((problem) => `audit: ${problem}`) : []));
  if (state !== RunState.SUCCEEDED) return problems;
  if (told.length === 0) problems.push("no event tells of an audit");
  const samples = BigInt(totalSteps * sequencesPerStep);
  if (audit?.trained !== samples) problems.push(`audit: ${audit?.trained} of ${samples} samples were trained on`);
  return problems;
}

/** Processes and records of the run that are there though it is over. */
async function leftProblems(cluster: ChaosCluster, runId: string): Promise<string[]> {
  const look = async (): Promise<string[]> => {
    const processes = (await cluster.processes()).filter(({ run }) => run === runId);
    const records = await Promise.all(
      [streamNames.prompts, streamNames.rollouts, streamNames.results].map(async (stream) => {
        const { state } = await cluster.streams.manager.streams.info(stream, { subjects_filter: `retort.*.${runId}.>` });
        const count = Object.values(state.subjects ?? {}).reduce((sum, n) => sum + n, 0);
        return count > 0 ? [`${count} records are left in ${stream}`] : [];
      }),
    );
    return [...processes.map(({ role, pid }) => `process ${pid} (${role}) is left`), ...records.flat()];
  };
  let left = await look();
  for (let tries = 0; left.length > 0 && tries < 60; tries++) {
    await sleep(500);
    left = await look();
  }
  return left;
}

/** What a run's events tell that nobody expects, each once with how often: warnings, and states but the usual. */
export function odditiesOf(events: readonly RunEvent[]): string[] {
  const counts = new Map<string, number>();
  for (const { event } of events) {
    const said =
      event.case === "warning"
        ? `warning: ${event.value.message}`
        : event.case === "stateChanged" && event.value.state === RunState.FAILED
          ? `state FAILED: ${event.value.message}`
          : undefined;
    if (said) counts.set(said, (counts.get(said) ?? 0) + 1);
  }
  return [...counts].map(([said, count]) => `${count}× ${said}`);
}
