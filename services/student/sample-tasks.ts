import type { Log } from "../shared/base/log.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { readTask, type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { PromptTaskValid } from "../shared/gen/retort/v1/flow_pb.js";
import type { StudentMeters } from "./meters.js";
import type { Policy } from "./policy.js";
import type { StudentModel } from "./student-model.js";
import { TasksInHand } from "./tasks-in-hand.js";

/**
 * Samples the tasks of a run, each with a policy version that it allows. Tasks of the same version are written together, so
 * that no place stands empty while the last completions of a task are written; but one by one where a run promises the same
 * bits again: what a batch is made of would depend on when tasks come.
 */
export function sampleTasks(
  { streams, runId, run }: Membership,
  model: StudentModel,
  policy: Policy,
  meters: StudentMeters,
  log: Log,
): Consumption {
  const isRepeatable = run.maxStaleness === 0 && run.replicas.student === 1;
  const { weights } = model;
  const withVersion = async <T>(
    { minPolicyVersion: min, maxPolicyVersion: max }: PromptTaskValid,
    work: (version: number) => Promise<T>,
  ) => {
    const shared = async () => {
      const version = policy.inUse(min, max);
      return version === undefined ? undefined : { done: await work(version) };
    };
    const outcome = isRepeatable ? undefined : await weights.reading(shared);
    if (outcome) return outcome.done;
    return weights.alone(async (share) => {
      const version = await policy.use(min, max);
      if (version === undefined) return undefined;
      meters.using(version);
      if (!isRepeatable) share();
      return work(version);
    });
  };
  const context: SamplerContext = {
    streams,
    log,
    maxAttempts: run.maxAttempts,
    now: () => performance.now(),
    sample: (requests, sampling) => model.sampleNow(requests, sampling),
    versionExists: ({ key, minPolicyVersion, maxPolicyVersion }, signal) =>
      policy.announced(BigInt(key.attempt), minPolicyVersion, maxPolicyVersion, signal),
    withVersion,
    done: (sequences, seconds) => meters.taskDone(sequences, seconds),
  };
  const inHand = new TasksInHand(model.maxRows);
  return consume(streams, {
    stream: streamNames.prompts,
    durable: durables.student(runId),
    span: "sample",
    concurrency: isRepeatable ? 2 : (tasks) => inHand.most(tasks),
    patienceMs: run.stepTimeoutMs,
    log,
    handler: async (delivery) => {
      const task = readTask(delivery.data);
      return inHand.holding(task, delivery.attempt, () => sampleTask(task, delivery, context));
    },
  });
}
