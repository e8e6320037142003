import type { Log } from "../shared/base/log.js";
import { SharedTime } from "../shared/base/shared-time.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { phaseOf, type ResolvedRun } from "../shared/flow/runs/resolve.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { type PromptTask, Purpose } from "../shared/gen/retort/v1/flow_pb.js";
import type { StudentMeters } from "./meters.js";
import type { Policy } from "./policy.js";
import type { StudentModel } from "./student-model.js";

/**
 * Samples the tasks of a run, each with a policy version that it allows. Tasks of one version are written together, as many as
 * have this student's share of a step.
 */
export function sampleTasks(
  { streams, runId, run }: Membership,
  model: StudentModel,
  policy: Policy,
  meters: StudentMeters,
  log: Log,
): Consumption {
  // One is sampled, and one waits in hand, before any has shown how large they are.
  let concurrency = 2;
  const context: SamplerContext = {
    streams,
    log,
    maxAttempts: run.maxAttempts,
    time: new SharedTime(() => performance.now()),
    sample: (requests, sampling) => model.sampleNow(requests, sampling),
    versionExists: (task, signal) => {
      concurrency = tasksInHand(run, task, model.maxRows);
      const { key, minPolicyVersion, maxPolicyVersion } = task;
      return policy.announced(BigInt(key.attempt), minPolicyVersion, maxPolicyVersion, signal);
    },
    underVersion: ({ minPolicyVersion, maxPolicyVersion }, work) => {
      const use = async () => {
        const version = await policy.use(minPolicyVersion, maxPolicyVersion);
        if (version !== undefined) meters.using(version);
        return version;
      };
      return model.under({ isInUse: () => policy.isInUse(maxPolicyVersion), use }, work);
    },
    done: (sequences, seconds) => meters.taskDone(sequences, seconds),
  };
  return consume(streams, {
    stream: streamNames.prompts,
    durable: durables.student(runId),
    span: "sample",
    concurrency: () => concurrency,
    patienceMs: run.stepTimeoutMs,
    log,
    handler: (delivery) => sampleTask(delivery, context),
  });
}

/**
 * How many tasks such as this one a student takes at a time: its share of a step's sequences, within the rows that it writes
 * together, and one more for the places of those that end. The other tasks of the step are for the other students.
 */
export function tasksInHand(
  run: Pick<ResolvedRun, "phases" | "replicas">,
  {
    key,
    prompts,
    samplesPerPrompt,
  }: Pick<PromptTask, "prompts" | "samplesPerPrompt"> & { readonly key: Pick<NonNullable<PromptTask["key"]>, "purpose" | "step"> },
  maxRows: number,
): number {
  const rows = Math.max(1, prompts.length * samplesPerPrompt);
  const share =
    key.purpose === Purpose.TRAIN
      ? Math.ceil((phaseOf(run, key.step).batchSize * samplesPerPrompt) / Math.max(1, run.replicas.student))
      : maxRows;
  return Math.ceil(Math.min(share, maxRows) / rows) + 1;
}
