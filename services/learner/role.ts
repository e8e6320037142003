import { RetortError } from "../shared/base/errors.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { spawnWorker } from "../shared/base/workers.js";
import { tellAudit } from "../shared/flow/ledger/audit-run.js";
import { recordExhausted } from "../shared/flow/rollouts/exhausted.js";
import { publishEvent } from "../shared/flow/runs/events.js";
import { joinRun, type Membership, patience, registration } from "../shared/flow/runs/membership.js";
import { specRootsOf } from "../shared/flow/runs/paths.js";
import { RunState } from "../shared/gen/retort/v1/run_pb.js";
import type { StepStats } from "../shared/ml/training/stats.js";
import type { LearnerSettings } from "./config.js";
import type { TrainHost } from "./model/train-host.js";
import { LearnerRun } from "./run/learner-run.js";
import { learnerService } from "./service.js";
import { Standalone } from "./standalone/standalone.js";

/** The learner: trains the student of a run, or takes optimiser steps on batches that it is given. */
export function learnerRole(context: RoleContext<LearnerSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const worker = spawnWorker<TrainHost>(new URL("./model/train-worker.js", import.meta.url));
  const stepGauge = metrics.gauge("step", "last finished optimiser step");
  const lossGauge = metrics.gauge("loss", "loss of the last step");
  const divergenceGauge = metrics.gauge("divergence_nats", "divergence of the last step");
  const tokens = metrics.counter("trained_tokens_total", "completion tokens trained on");
  const duration = metrics.seconds("step_duration", "time of an optimiser step, waiting included");
  const { roots, outputRoots } = specRootsOf(settings);
  const stopping = new AbortController();
  const status = { step: 0, totalSteps: 0, activity: "starting" };
  const trainer = { device: settings.device, threads: threadCount(settings.threads) };
  const standalone = new Standalone(worker.api, settings.model, trainer);
  let membership: Membership | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopRecording: () => void = () => {};
  let end: () => void = () => {};
  let fail: (error: RetortError) => void = () => {};
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
      status.totalSteps = membership.run.totalSteps;
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
        onStep: (step: number, activity: string, stats?: StepStats, seconds?: number) => {
          Object.assign(status, { step, activity });
          stepGauge.set(step);
          if (!stats) return;
          lossGauge.set(stats.loss);
          divergenceGauge.set(stats.divergence);
          tokens.inc(stats.completionTokens);
          duration.observe(seconds!);
        },
      };
      running = LearnerRun.execute(learner).then(
        async (ending) => {
          if (ending === "over") return end();
          if (ending === "handedBack") return fail(handedBack(membership!));
          await record(membership!, ending === "succeeded" ? RunState.SUCCEEDED : RunState.STOPPED, "");
          end();
        },
        async (thrown: unknown) => {
          const error = RetortError.from(thrown);
          if (error.retry === "never") await recordFailure(membership!, error);
          fail(error);
        },
      );
    },
    stop: async () => {
      stopRecording();
      stopping.abort();
      await running;
    },
  };
  const service = learnerService({
    runId: settings.run ?? "",
    status: () => (settings.run ? status : { step: standalone.steps, totalSteps: 0, activity: "waiting for calls" }),
    step: async (request) => {
      if (request.teacherModel) await roots.check(request.teacherModel, "teacherModel");
      return standalone.step(request);
    },
    save: async (path) => {
      await outputRoots.check(path, "path");
      const saved = async () => ({
        step: settings.run ? status.step : standalone.steps,
        path,
        digest: await worker.api.save(path, true),
      });
      return { checkpoint: await standalone.exclusive(saved) };
    },
  });
  const after = settings.run ? [registration(context, () => membership!), work, patience(() => membership)] : [];
  return { before: [connect], implementations: [service], after, finished: settings.run ? finished : undefined };
}

/** A learner that was only asked to leave records nothing, and its exit code says so: the run goes on in another one. */
const handedBack = ({ runId }: Membership): RetortError =>
  new RetortError("Cancelled", `this learner was asked to leave; run ${runId} goes on in the next one`);

async function recordFailure(membership: Membership, { message, code }: RetortError): Promise<void> {
  if (code === "Aborted") return;
  await record(membership, RunState.FAILED, message);
}

/** The end of a run: its audit, then its final state, which ends every watch. */
async function record({ runs, streams, runId }: Membership, state: RunState, message: string): Promise<void> {
  await tellAudit(streams, await runs.get(runId));
  const run = await runs.transition(runId, state, message);
  if (run) await publishEvent(streams, runId, { case: "stateChanged", value: { state, message } }, `ended/${state}/${run.fence}`);
}
