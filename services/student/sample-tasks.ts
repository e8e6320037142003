import type { Log } from "../shared/base/log.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { StudentMeters } from "./meters.js";
import type { Policy } from "./policy.js";
import type { StudentModel } from "./student-model.js";

/** Samples the tasks of a run, each with a policy version that it allows. */
export function sampleTasks(
  { streams, runId, run }: Membership,
  model: StudentModel,
  policy: Policy,
  meters: StudentMeters,
  log: Log,
): Consumption {
  const context: SamplerContext = {
    streams,
    log,
    maxAttempts: run.maxAttempts,
    now: () => performance.now(),
    sample: (requests, sampling) => model.sampleNow(requests, sampling),
    // No version changes between choosing it and sampling with it.
    exclusive: model.exclusive,
    versionExists: ({ key, minPolicyVersion, maxPolicyVersion }, signal) =>
      policy.announced(BigInt(key.attempt), minPolicyVersion, maxPolicyVersion, signal),
    useVersion: async ({ minPolicyVersion, maxPolicyVersion }) => {
      const version = await policy.use(minPolicyVersion, maxPolicyVersion);
      if (version !== undefined) meters.using(version);
      return version;
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
