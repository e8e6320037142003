import { join } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import { FileCache } from "../shared/base/file-cache.js";
import type { Log } from "../shared/base/log.js";
import type { RoleContext } from "../shared/base/role.js";
import { SharedTime } from "../shared/base/shared-time.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { RolloutValid, Sequence } from "../shared/gen/retort/v1/flow_pb.js";
import type { TeacherModel } from "./backends/backend.js";
import type { TeacherSettings } from "./config.js";
import type { Follower } from "./follower.js";
import type { TeacherMeters } from "./meters.js";
import { type CacheOutcome, ScoreCache } from "./score-cache.js";
import { type ScorerContext, type ScoringWeights, scoreRollouts } from "./scorer.js";

/** Scores the rollouts of a run that name this teacher. @param follower of a teacher that is the student */
export async function scoreRun(
  { settings, log }: RoleContext<TeacherSettings>,
  { streams, runId, run, process }: Membership,
  teacher: string,
  model: TeacherModel,
  meters: TeacherMeters,
  follower?: Follower,
): Promise<Consumption> {
  const { maxAttempts, maxStaleness, stepTimeoutMs } = run;
  const { digest, headDigest } = model.description;
  const cacheOf = await openCaches(settings, model, meters, log);
  const under: ScorerContext["under"] = follower
    ? (rollout, signal, work) => follower.under(rollout, signal, (weights) => work({ ...weights, cache: cacheOf(weights.digest) }))
    : (rollout, _signal, work) => work(fixedWeights(rollout, { digest, headDigest, cache: cacheOf(digest) }));
  const scoring = {
    ...{ streams, teacher, maxStaleness, maxAttempts, under },
    score: model.score,
    tokens: model.completionTokens,
    time: new SharedTime(),
    done: (tokens: number, ...rest: [number, number, string]) => {
      process.tokens(tokens);
      meters.rolloutScored(tokens, ...rest);
    },
  };
  process.reads(streamNames.rollouts, durables.teacher(runId, teacher));
  return consume(streams, {
    stream: streamNames.rollouts,
    durable: durables.teacher(runId, teacher),
    span: "score",
    concurrency: 2,
    patienceMs: stepTimeoutMs,
    log,
    handler: process.handling(Work.SCORING, (delivery) => scoreRollouts(delivery, scoring)),
  });
}

/** The weights of a teacher that stays as it is. @throws InvalidArgument for a rollout that asks for others */
function fixedWeights({ teacherVersion }: Pick<RolloutValid, "teacherVersion">, weights: ScoringWeights): ScoringWeights {
  if (teacherVersion === undefined) return weights;
  throw new RetortError(
    "InvalidArgument",
    `the rollout asks for version ${teacherVersion} of the teacher, which stays as it is; do all roles have the same version?`,
  );
}

/** Writes the texts that a run asks of this teacher. @param follower of a teacher that is the student: as the run begins with it */
export function writeTexts(
  { log }: RoleContext<TeacherSettings>,
  { streams, runId, run, process }: Membership,
  teacher: string,
  model: TeacherModel,
  follower?: Follower,
): Consumption {
  const context: SamplerContext = {
    streams,
    log,
    write: model.sampleGroups,
    maxAttempts: run.maxAttempts,
    time: new SharedTime(),
    versionExists: async () => true,
    underVersion: (_task, work) => (follower ? follower.atStart(() => work(0)) : work(0)),
    done: (sequences) => process.tokens(tokensOf(sequences)),
  };
  return consume(streams, {
    stream: streamNames.prompts,
    durable: durables.writer(runId, teacher),
    span: "write",
    concurrency: 1,
    patienceMs: run.stepTimeoutMs,
    log,
    handler: process.handling(Work.SAMPLING, (delivery) => sampleTask(delivery, context)),
  });
}

const tokensOf = (sequences: readonly Pick<Sequence, "completionIds">[]): number =>
  sequences.reduce((sum, { completionIds }) => sum + (completionIds?.shape[0] ?? 0), 0);

/**
 * The scores that are kept for each digest of this model's weights, on this device and in this dtype; undefined where the settings keep
 * none, or the model may change unseen.
 */
async function openCaches(
  { scoreCacheBytes, dataDir, device }: TeacherSettings,
  { description: { configDigest, dtype = "float32" }, isAttested }: TeacherModel,
  meters: TeacherMeters,
  log: Log,
): Promise<(digest: string) => ScoreCache | undefined> {
  if (scoreCacheBytes === 0 || !isAttested) return () => undefined;
  const files = await FileCache.open(join(dataDir, "scores"), { maxBytes: scoreCacheBytes, now: () => Date.now() });
  const count = (outcome: CacheOutcome) => meters.lookedUp(outcome, files.bytes);
  return (digest) => new ScoreCache(files, `${digest}/${configDigest}/${device}/${dtype}`, log, count);
}
