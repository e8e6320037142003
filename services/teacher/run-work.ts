import { join } from "node:path";
import { FileCache } from "../shared/base/file-cache.js";
import type { Log } from "../shared/base/log.js";
import type { RoleContext } from "../shared/base/role.js";
import { SharedTime } from "../shared/base/shared-time.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { type SamplerContext, sampleTask } from "../shared/flow/rollouts/sample-task.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import type { Sequence } from "../shared/gen/retort/v1/flow_pb.js";
import type { TeacherModel } from "./backends/backend.js";
import type { TeacherSettings } from "./config.js";
import type { TeacherMeters } from "./meters.js";
import { ScoreCache } from "./score-cache.js";
import { scoreRollouts } from "./scorer.js";

/** Scores the rollouts of a run that name this teacher. */
export async function scoreRun(
  { settings, log }: RoleContext<TeacherSettings>,
  { streams, runId, run, process }: Membership,
  teacher: string,
  model: TeacherModel,
  meters: TeacherMeters,
): Promise<Consumption> {
  const { maxAttempts, maxStaleness, stepTimeoutMs } = run;
  const { digest, headDigest } = model.description;
  const cache = await openCache(settings, model, meters, log);
  const scoring = {
    ...{ streams, teacher, digest, headDigest, maxStaleness, maxAttempts, cache },
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

/** Writes the texts that a run asks of this teacher. */
export function writeTexts(
  { log }: RoleContext<TeacherSettings>,
  { streams, runId, run, process }: Membership,
  teacher: string,
  model: TeacherModel,
): Consumption {
  const context: SamplerContext = {
    streams,
    log,
    write: model.sampleGroups,
    maxAttempts: run.maxAttempts,
    time: new SharedTime(),
    // Its weights never change.
    versionExists: async () => true,
    underVersion: (_task, work) => work(0),
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

/** The scores that are kept for this model on this device and in this dtype; undefined where the settings keep none, or the model may change unseen. */
async function openCache(
  { scoreCacheBytes, dataDir, device }: TeacherSettings,
  { description: { digest, configDigest, dtype = "float32" }, isAttested }: TeacherModel,
  meters: TeacherMeters,
  log: Log,
): Promise<ScoreCache | undefined> {
  if (scoreCacheBytes === 0 || !isAttested) return undefined;
  const files = await FileCache.open(join(dataDir, "scores"), { maxBytes: scoreCacheBytes, now: () => Date.now() });
  return new ScoreCache(files, `${digest}/${configDigest}/${device}/${dtype}`, log, (outcome) => meters.lookedUp(outcome, files.bytes));
}
