import { join } from "node:path";
import pLimit from "p-limit";
import { RetortError } from "../shared/base/errors.js";
import { FileCache } from "../shared/base/file-cache.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { callback } from "../shared/base/workers.js";
import { sampleTask } from "../shared/flow/rollouts/sample-task.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { teacherName } from "../shared/flow/runs/resolve.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { HostOptions, ModelDescription } from "../shared/ml/host/model-host.js";
import { spawnModelHost } from "../shared/ml/host/spawn.js";
import type { Piece } from "../shared/ml/sampling/sampler.js";
import type { TeacherSettings } from "./config.js";
import { type CacheOutcome, ScoreCache } from "./score-cache.js";
import { scoreRollout } from "./scorer.js";
import { type TeacherModel, teacherService } from "./service.js";

/** The teacher: scores the rollouts of a run and writes its texts, or does either for whoever calls it. */
export function teacherRole(context: RoleContext<TeacherSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const { batchTokens, device } = settings;
  const host = spawnModelHost();
  const exclusive = pLimit(1);
  const tokens = metrics.counter("scored_tokens_total", "completion tokens scored", ["signal"]);
  const signalBytes = metrics.counter("signal_bytes_total", "bytes of teacher signal sent", ["signal"]);
  const rollouts = metrics.counter("rollouts_total", "rollouts scored");
  const duration = metrics.seconds("score", "time to score a rollout");
  const lookups = metrics.counter("cache_lookups_total", "sequences looked up in the score cache", ["outcome"]);
  const cacheBytes = metrics.gauge("cache_bytes", "bytes of the score cache on the disk");
  const openCache = async ({ digest, configDigest }: ModelDescription) => {
    if (settings.scoreCacheBytes === 0) return undefined;
    const now = () => Date.now();
    const files = await FileCache.open(join(settings.dataDir, "scores"), { maxBytes: settings.scoreCacheBytes, now });
    return new ScoreCache(files, `${digest}/${configDigest}/${device}`, log, (outcome: CacheOutcome) => {
      lookups.inc({ outcome });
      cacheBytes.set(files.bytes);
    });
  };
  const consumptions: Consumption[] = [];
  let membership: Membership | undefined;
  let description: ModelDescription | undefined;
  let fail: (error: RetortError) => void = () => {};
  const finished = new Promise<void>((_, reject) => {
    fail = reject;
  });
  host.crashed.then((error) => fail(error));
  const options: HostOptions = { device, threads: threadCount(settings.threads), chunkTokens: 64, maxRows: 64, batchTokens };
  const model: Service = {
    name: "model",
    start: async () => {
      if (settings.run) membership = await joinRun(settings.run, settings, "teacher", settings.teacher);
      const directory = membership?.spec.teachers.find(({ name }) => teacherName(name) === settings.teacher)?.model ?? settings.model;
      if (!directory)
        throw new RetortError(
          "InvalidArgument",
          "a teacher that stands alone needs --model DIR; one that serves a run needs --run ID and --teacher NAME",
        );
      const vocabRows = membership?.spec.vocabSize || settings.vocabSize;
      description = await host.api.open({ directory }, { ...options, vocabRows });
      log.info({ parameters: description.parameters, architecture: description.architecture }, "the model is loaded");
    },
    stop: async () => {
      await membership?.streams.close();
      await host.terminate();
    },
  };
  const teacher: TeacherModel = {
    device,
    describe: () => description!,
    encode: (prompts, chat) => host.api.encode(prompts, chat),
    completionTexts: (sequences) => host.api.completionTexts(sequences),
    encodePairs: (pairs, chat) => host.api.encodePairs(pairs, chat),
    score: (inputs, signal) => exclusive(() => host.api.score(inputs, signal)),
    sample: (requests, sampling, onPieces) =>
      exclusive(() =>
        host.api.sample(
          requests.map(({ promptIds, seed }) => ({ promptIds, seed })),
          sampling,
          callback((pieces: readonly Piece[]) => onPieces(pieces)),
        ),
      ),
  };
  const work: Service = {
    name: "rollouts",
    start: async () => {
      if (!membership) return;
      const { streams, runId, run } = membership;
      const { maxAttempts, maxStaleness } = run;
      const common = { streams, maxAttempts, now: () => performance.now() };
      const done = (count: number, seconds: number, bytes: number, signal: string) => {
        rollouts.inc();
        tokens.inc({ signal }, count);
        signalBytes.inc({ signal }, bytes);
        duration.observe(seconds);
      };
      const { digest, headDigest } = description!;
      const cache = await openCache(description!);
      const scoring = { ...common, teacher: settings.teacher, digest, headDigest, maxStaleness, cache, score: teacher.score, done };
      const writing = {
        ...common,
        log,
        exclusive: <T>(task: () => Promise<T>) => task(),
        versionExists: async () => true,
        useVersion: async () => 0,
        sample: (requests: Parameters<TeacherModel["sample"]>[0], sampling: Parameters<TeacherModel["sample"]>[1]) =>
          exclusive(() =>
            host.api.sample(
              requests.map(({ promptIds, seed }) => ({ promptIds, seed })),
              sampling,
            ),
          ),
        done: () => {},
      };
      const scores = consume(streams, {
        stream: streamNames.rollouts,
        durable: durables.teacher(runId, settings.teacher),
        span: "score",
        concurrency: 2,
        patienceMs: run.stepTimeoutMs,
        log,
        handler: (delivery) => scoreRollout(delivery, scoring),
      });
      const texts = consume(streams, {
        stream: streamNames.prompts,
        durable: durables.writer(runId, settings.teacher),
        span: "write",
        concurrency: 1,
        patienceMs: run.stepTimeoutMs,
        log,
        handler: (delivery) => sampleTask(delivery, writing),
      });
      consumptions.push(scores, texts);
      for (const consumption of consumptions) consumption.done.catch((error: RetortError) => fail(error));
    },
    stop: async () => {
      await Promise.all(consumptions.map((consumption) => consumption.stop()));
    },
  };
  const after = settings.run ? [registration(context, () => membership!), work, patience(() => membership)] : [];
  return { before: [model], implementations: [teacherService(teacher)], after, finished };
}
