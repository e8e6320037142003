import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { spawnWorker } from "../shared/base/workers.js";
import { recordExhausted } from "../shared/flow/rollouts/exhausted.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { specRootsOf } from "../shared/flow/runs/paths.js";
import type { LearnerSettings } from "./config.js";
import type { TrainHost } from "./model/train-host.js";
import { LearnerProgress } from "./progress.js";
import { leadRun } from "./run/lead-run.js";
import { learnerService } from "./service.js";
import { Standalone } from "./standalone/standalone.js";

/** The learner: trains the student of a run, or takes optimiser steps on batches that it is given. */
export function learnerRole(context: RoleContext<LearnerSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const worker = spawnWorker<TrainHost>(new URL("./model/train-worker.js", import.meta.url));
  const progress = new LearnerProgress(metrics);
  const { roots, outputRoots } = specRootsOf(settings);
  const stopping = new AbortController();
  const trainer = { device: settings.device, threads: threadCount(settings.threads) };
  const standalone = new Standalone(worker.api, settings.model, trainer);
  let membership: Membership | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopRecording: () => void = () => {};
  let end: () => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const finished = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  worker.crashed.then((error) => fail(error));
  const connect: Service = {
    name: "run",
    start: async () => {
      if (!settings.run) return standalone.open();
      membership = await joinRun(settings.run, settings, "learner");
    },
    stop: async () => {
      await membership?.streams.close();
      await worker.terminate();
    },
  };
  const work: Service = {
    name: "training",
    start: async () => {
      const { streams, runId } = membership!;
      stopRecording = recordExhausted(streams, runId, log);
      const learner = {
        membership: membership!,
        host: worker.api,
        log,
        dataDir: settings.dataDir,
        ...trainer,
        stop: stopping.signal,
        progress,
      };
      running = leadRun(learner).then(end, fail);
    },
    stop: async () => {
      stopRecording();
      stopping.abort();
      await running;
    },
  };
  const service = learnerService({
    runId: settings.run ?? "",
    status: () =>
      settings.run
        ? progress.status(membership?.run.totalSteps ?? 0)
        : { step: standalone.steps, totalSteps: 0, activity: "waiting for calls" },
    step: async (request) => {
      if (request.teacherModel) await roots.check(request.teacherModel, "teacherModel");
      return standalone.step(request);
    },
    save: async (path) => {
      await outputRoots.check(path, "path");
      const saved = async () => ({
        step: settings.run ? progress.status(0).step : standalone.steps,
        path,
        digest: await worker.api.save(path, true),
      });
      return { checkpoint: await standalone.exclusive(saved) };
    },
  });
  const after = settings.run ? [registration(context, () => membership!), work, patience(() => membership)] : [];
  return { before: [connect], implementations: [service], after, finished: settings.run ? finished : undefined };
}
