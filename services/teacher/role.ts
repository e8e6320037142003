import { join } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import { FileCache } from "../shared/base/file-cache.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { sampleTask } from "../shared/flow/rollouts/sample-task.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { teacherName } from "../shared/flow/runs/resolve.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { ModelDescription } from "../shared/ml/host/model-host.js";
import type { TeacherModel } from "./backends/backend.js";
import { backends } from "./backends/table.js";
import type { TeacherSettings } from "./config.js";
import { type CacheOutcome, ScoreCache } from "./score-cache.js";
import { scoreRollout } from "./scorer.js";
import { teacherService } from "./service.js";

/** The teacher: scores the rollouts of a run and writes its texts, or does either for whoever calls it. */
export function teacherRole(context: RoleContext<TeacherSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const { batchTokens, device } = settings;
  const backend = backends.onnx({ device, threads: threadCount(settings.threads), batchTokens });
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
  let model: TeacherModel | undefined;
  let fail: (error: RetortError) => void = () => {};
  const finished = new Promise<void>((_, reject) => {
    fail = reject;
  });
  backend.crashed.then((error) => fail(error));
  const opening: Service = {
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
      model = await backend.open({ model: directory, vocabRows });
      const { parameters, architecture } = model.description;
      log.info({ parameters, architecture }, "the model is loaded");
    },
    stop: async () => {
      await membership?.streams.close();
      await backend.close();
    },
  };
  const work: Service = {
    name: "rollouts",
    start: async () => {
      if (!membership || !model) return;
      const { streams, runId, run } = membership;
      const { maxAttempts, maxStaleness } = run;
      const common = { streams, maxAttempts, now: () => performance.now() };
      const done = (count: number, seconds: number, bytes: number, signal: string) => {
        rollouts.inc();
        tokens.inc({ signal }, count);
        signalBytes.inc({ signal }, bytes);
        duration.observe(seconds);
      };
      const { score, sample } = model;
      const { digest, headDigest } = model.description;
      const cache = await openCache(model.description);
      const scoring = { ...common, teacher: settings.teacher, digest, headDigest, maxStaleness, cache, score, done };
      const writing = {
        ...common,
        log,
        exclusive: <T>(task: () => Promise<T>) => task(),
        versionExists: async () => true,
        useVersion: async () => 0,
        sample,
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
  return { before: [opening], implementations: [teacherService(() => model!)], after, finished };
}
