import type { Log } from "../shared/base/log.js";
import { SharedTime } from "../shared/base/shared-time.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import type { Policy } from "../shared/codec/policy.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { placeOf } from "../shared/flow/runs/process-reporter.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { stepToken } from "../shared/flow/subjects.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { Episodes } from "./episodes.js";
import type { StudentMeters } from "./meters.js";
import type { StudentModel } from "./student-model.js";

/** What the tasks of a run are sampled with. */
export interface Sampling {
  readonly model: StudentModel;
  readonly policy: Policy;
  /** Undefined where a completion is one turn. */
  readonly episodes: Episodes | undefined;
  readonly meters: StudentMeters;
  readonly log: Log;
  /** The longest that a stop waits for environments. */
  readonly drainMs: number;
}

/**
 * Samples the tasks of a run, each with a policy version that it allows. Two messages of tasks under one version are written
 * side by side: the next fills the places of sequences that have ended. Not so where the run's weights are the same bits each
 * time: which sequences share the model's passes would depend on when messages come.
 */
export function sampleTasks(
  { streams, runId, run, process }: Membership,
  { model, policy, episodes, meters, log, drainMs }: Sampling,
): Consumption {
  const isRepeatable = run.maxStaleness === 0 && run.replicas.student === 1;
  const context: SamplerContext = {
    streams,
    log,
    maxAttempts: run.maxAttempts,
    time: new SharedTime(),
    write: (...work) => (episodes ? episodes.write(...work) : model.sampleGroups(...work)),
    versionExists: ({ key, minPolicyVersion, maxPolicyVersion }, signal) =>
      policy.announced(BigInt(key.attempt), minPolicyVersion, maxPolicyVersion, signal),
    underVersion: ({ key, minPolicyVersion, maxPolicyVersion }, work) => {
      const use = async () => {
        const load = () => policy.use(minPolicyVersion, maxPolicyVersion);
        const isThere = policy.isInUse(maxPolicyVersion);
        const version = await (isThere ? load() : process.during(Work.LOADING, "the student's new weights", load));
        if (version !== undefined) meters.using(version);
        return version;
      };
      const sampling = (version: number) => process.during(Work.SAMPLING, ...placeOf(stepToken(key)), () => work(version));
      return model.under({ isInUse: () => policy.isInUse(maxPolicyVersion), use, isAlone: isRepeatable }, sampling);
    },
    done: (sequences, seconds) => process.tokens(meters.taskDone(sequences, seconds)),
  };
  process.reads(streamNames.prompts, durables.student(runId));
  const consumption = consume(streams, {
    stream: streamNames.prompts,
    durable: durables.student(runId),
    span: "sample",
    concurrency: 2,
    patienceMs: run.stepTimeoutMs,
    log,
    handler: (delivery) => sampleTask(delivery, context),
  });
  return {
    done: consumption.done,
    stop: async () => {
      // What waits longer for an environment is given back: another student, or this one started again, begins it anew.
      const late = setTimeout(() => episodes?.stop(), drainMs);
      await consumption.stop();
      clearTimeout(late);
    },
  };
}
