import pLimit from "p-limit";
import { RetortError } from "../shared/base/errors.js";
import { ownBuffers } from "../shared/base/file-bytes.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { type Consumption, consume } from "../shared/base/streams/consume.js";
import { callback, moved } from "../shared/base/workers.js";
import { sampleTask } from "../shared/flow/rollouts/sample-task.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { durables, streamNames } from "../shared/flow/streams.js";
import type { PromptTask } from "../shared/gen/retort/v1/flow_pb.js";
import type { HostOptions, HostSampling } from "../shared/ml/host/model-host.js";
import { spawnModelHost } from "../shared/ml/host/spawn.js";
import type { Piece, SampleRequest } from "../shared/ml/sampling/sampler.js";
import type { StudentSettings } from "./config.js";
import { Policy } from "./policy.js";
import { studentService } from "./service.js";

/** The student: writes the rollouts of a run, or completions for whoever calls it. */
export function studentRole(context: RoleContext<StudentSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const host = spawnModelHost();
  // One call into the model at a time, and no change of weights between choosing a version and sampling with it.
  const exclusive = pLimit(1);
  const tokens = metrics.counter("sampled_tokens_total", "tokens sampled");
  const tasks = metrics.counter("tasks_total", "tasks finished");
  const duration = metrics.seconds("task", "time to sample a task");
  const versionGauge = metrics.gauge("policy_version", "policy version in use");
  const done = { tasks: 0n, tokens: 0n };
  const stopping = new AbortController();
  let membership: Membership | undefined;
  let policy: Policy | undefined;
  let consumption: Consumption | undefined;
  let fail: (error: RetortError) => void = () => {};
  const finished = new Promise<void>((_, reject) => {
    fail = reject;
  });
  host.crashed.then((error) => fail(error));
  const options: HostOptions = {
    device: settings.device,
    threads: threadCount(settings.threads),
    chunkTokens: settings.chunkTokens,
    maxRows: settings.maxRows,
    batchTokens: 8192,
  };
  const model: Service = {
    name: "model",
    start: async () => {
      if (settings.run) {
        membership = await joinRun(settings.run, settings, "student");
        const { runId, runs, store } = membership;
        policy = new Policy(
          runId,
          runs,
          store,
          (files) => host.api.useWeights(moved(Object.fromEntries(files), [...files.values()].flatMap(ownBuffers))),
          log,
        );
        policy.follow(stopping.signal).catch((error: unknown) => fail(RetortError.from(error)));
        const files = Object.fromEntries(await policy.first(stopping.signal));
        await host.api.open(moved({ files }, Object.values(files).flatMap(ownBuffers)), options);
        return;
      }
      if (!settings.model)
        throw new RetortError("InvalidArgument", "a student that stands alone needs --model DIR; one that serves a run needs --run ID");
      const { parameters, architecture } = await host.api.open({ directory: settings.model }, options);
      log.info({ parameters, architecture }, "the model is loaded");
    },
    stop: async () => {
      stopping.abort();
      await membership?.streams.close();
      await host.terminate();
    },
  };
  const sample = (requests: readonly SampleRequest[], sampling: HostSampling) =>
    host.api.sample(
      requests.map(({ promptIds, seed }) => ({ promptIds, seed })),
      sampling,
    );
  const work: Service = {
    name: "tasks",
    start: async () => {
      if (!membership || !policy) return;
      const { streams, runId, run } = membership;
      const taskContext = {
        streams,
        log,
        sample,
        maxAttempts: run.maxAttempts,
        now: () => performance.now(),
        versionExists: ({ key, minPolicyVersion, maxPolicyVersion }: PromptTask, signal: AbortSignal) =>
          policy!.announced(BigInt(key!.attempt), minPolicyVersion, maxPolicyVersion, signal),
        useVersion: async ({ minPolicyVersion, maxPolicyVersion }: PromptTask) => {
          const version = await policy!.use(minPolicyVersion, maxPolicyVersion);
          if (version !== undefined) versionGauge.set(version);
          return version;
        },
        exclusive,
        done: (sequences: readonly { completionIds?: { shape: readonly number[] } }[], seconds: number) => {
          const count = sequences.reduce((sum, { completionIds }) => sum + (completionIds?.shape[0] ?? 0), 0);
          done.tasks++;
          done.tokens += BigInt(count);
          tasks.inc();
          tokens.inc(count);
          duration.observe(seconds);
        },
      };
      consumption = consume(streams, {
        stream: streamNames.prompts,
        durable: durables.student(runId),
        span: "sample",
        concurrency: 2,
        patienceMs: run.stepTimeoutMs,
        log,
        handler: (delivery) => sampleTask(delivery, taskContext),
      });
      consumption.done.catch((error: RetortError) => fail(error));
    },
    stop: async () => consumption?.stop(),
  };
  const service = studentService(
    {
      encode: (prompts, chat) => host.api.encode(prompts, chat),
      completionTexts: (sequences) => host.api.completionTexts(sequences),
      sample: (requests, sampling, onPieces) =>
        exclusive(() =>
          host.api.sample(
            requests.map(({ promptIds, seed }) => ({ promptIds, seed })),
            sampling,
            callback((pieces: readonly Piece[]) => onPieces(pieces)),
          ),
        ),
    },
    () => ({
      runId: settings.run ?? "",
      policyVersion: Math.max(0, policy?.version ?? 0),
      tasksDone: done.tasks,
      tokensSampled: done.tokens,
    }),
  );
  const after = settings.run ? [registration(context, () => membership!), work, patience(() => membership)] : [];
  return { before: [model], implementations: [service], after, finished };
}
