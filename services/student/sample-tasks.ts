import type { Log } from "../shared/base/log.js";
import { SharedTime } from "../shared/base/shared-time.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { StudentMeters } from "./meters.js";
import type { Policy } from "./policy.js";
import type { StudentModel } from "./student-model.js";

/**
 * Samples the tasks of a run, each with a policy version that it allows. Two messages of tasks under one version are written
 * side by side: the next fills the places of sequences that have ended. Not so where the run's weights are the same bits each
 * time: which sequences share the model's passes would depend on when messages come.
 */
export function sampleTasks(
  { streams, runId, run }: Membership,
  model: StudentModel,
  policy: Policy,
  meters: StudentMeters,
  log: Log,
): Consumption {
  const isRepeatable = run.maxStaleness === 0 && run.replicas.student === 1;
  const context: SamplerContext = {
    streams,
    log,
    maxAttempts: run.maxAttempts,
    time: new SharedTime(),
    write: (groups, sampling, onWritten) => model.sampleGroups(groups, sampling, onWritten),
    versionExists: ({ key, minPolicyVersion, maxPolicyVersion }, signal) =>
      policy.announced(BigInt(key.attempt), minPolicyVersion, maxPolicyVersion, signal),
    underVersion: ({ minPolicyVersion, maxPolicyVersion }, work) => {
      const use = async () => {
        const version = await policy.use(minPolicyVersion, maxPolicyVersion);
        if (version !== undefined) meters.using(version);
        return version;
      };
      return model.under({ isInUse: () => policy.isInUse(maxPolicyVersion), use, isAlone: isRepeatable }, work);
    },
    done: (sequences, seconds) => meters.taskDone(sequences, seconds),
  };
  return consume(streams, {
    stream: streamNames.prompts,
    durable: durables.student(runId),
    span: "sample",
    concurrency: 2,
    patienceMs: run.stepTimeoutMs,
    log,
    handler: (delivery) => sampleTask(delivery, context),
  });
}
