import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import type { Log } from "../shared/base/log.js";
import { purge } from "../shared/base/streams/ensure.js";
import { type OpenSpan, openSpan, traced } from "../shared/base/tracing.js";
import type { WorkerClient } from "../shared/base/workers.js";
import type { Item } from "../shared/codec/examples.js";
import { type PlanRows, planStep, type RecordSize, taskCapacity } from "../shared/flow/prompts/plan.js";
import { publishEvent } from "../shared/flow/runs/events.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { type Phase, phaseOf } from "../shared/flow/runs/resolve.js";
import { ensureRun, ensureStreams, streamNames } from "../shared/flow/streams.js";
import { stepToken, subjects } from "../shared/flow/subjects.js";
import { Purpose, type Source } from "../shared/gen/retort/v1/flow_pb.js";
import { BestCheckpointSchema, RunState } from "../shared/gen/retort/v1/run_pb.js";
import { learningRate } from "../shared/ml/optim/schedule.js";
import type { StepStats } from "../shared/ml/training/stats.js";
import type { TrainerOptions } from "../shared/ml/training/trainer.js";
import { Alarms, endOf, publishAlarm } from "./alarms.js";
import { type Assembled, assemble } from "./assemble.js";
import { BestKeeper } from "./best.js";
import { Checkpoints } from "./checkpoints.js";
import { evaluateVersion } from "./evaluate.js";
import { bestValue } from "./figures.js";
import { issueStep } from "./issue.js";
import { prepareData } from "./prepare.js";
import type { ResultsReader } from "./results.js";
import { studentSource } from "./student-source.js";
import { loadHeads } from "./teacher-heads.js";
import type { TrainHost } from "./train-host.js";

export interface RunContext {
  readonly membership: Membership;
  readonly host: WorkerClient<TrainHost>;
  readonly results: ResultsReader;
  readonly log: Log;
  readonly dataDir: string;
  readonly device: TrainerOptions["device"];
  readonly threads: number;
  /** Aborted when the process is asked to stop. */
  readonly stop: AbortSignal;
  readonly onStep: (step: number, activity: string, stats?: StepStats, seconds?: number) => void;
}

/** How a run's learner came to its end. */
export type Ending = "succeeded" | "stopped" | "handedBack";

/**
 * A run from its newest checkpoint to its end. The learner alone knows the step: it issues the prompts of steps up to
 * `maxStaleness` ahead, collects each step's results in order, trains, and publishes the next version.
 */
export class LearnerRun {
  readonly #context: RunContext;
  readonly #checkpoints: Checkpoints;
  readonly #best: BestKeeper | undefined;
  readonly #alarms: Alarms;
  readonly #directory: string;
  #fence = 0n;
  #step = 0;
  #saved = -1;
  #items: readonly Item[] = [];
  #rows: PlanRows = { count: 0 };
  #heldOut: readonly Item[] = [];
  #recordSize: RecordSize = { vocabSize: 0, hiddenSize: 0, maxTokens: 0, maxPayloadBytes: 0 };
  readonly #issued = new Map<number, { readonly tasks: number; readonly span: OpenSpan }>();

  constructor(context: RunContext) {
    this.#context = context;
    this.#directory = join(context.dataDir, "runs", context.membership.runId);
    const { run, spec } = context.membership;
    this.#checkpoints = new Checkpoints(join(this.#directory, "checkpoints"), spec.checkpoints?.keep || 2);
    this.#alarms = new Alarms(run.maxStaleness === 0);
    const keepBest = run.evaluation?.keepBest;
    this.#best = keepBest && new BestKeeper(join(this.#directory, "best"), keepBest);
  }

  async execute(): Promise<Ending> {
    const { membership, host } = this.#context;
    const { runs, runId, run, spec } = membership;
    await ensureStreams(membership.streams);
    await ensureRun(membership.streams, { runId, teachers: run.teachers, rewarded: run.replicas.reward > 0, maxAttempts: run.maxAttempts });
    this.#fence = await runs.fence(runId);
    const checkpoint = await this.#checkpoints.newest();
    this.#step = checkpoint?.step ?? 0;
    this.#saved = this.#step;
    const student = await host.open(
      studentSource(spec),
      this.#trainerOptions(phaseOf(run, Math.max(1, this.#step))),
      checkpoint?.path,
      spec.vocabSize,
    );
    await this.#publishWeights(true);
    this.#context.log.info({ step: this.#step, parameters: student.parameters }, "the student is loaded");
    const hiddenSize = await loadHeads(host, spec, run);
    const data = await prepareData(this.#context, student);
    this.#items = data.items;
    this.#rows = data.rows;
    this.#heldOut = data.heldOut;
    this.#recordSize = {
      vocabSize: student.vocabSize,
      hiddenSize,
      maxTokens: Math.max(
        ...run.phases.map(({ sampling }) => sampling.maxNewTokens),
        ...data.items.map(({ completionIds }) => completionIds?.length ?? 0),
      ),
      maxPayloadBytes: membership.streams.connection.info?.max_payload ?? 1024 * 1024,
    };
    await this.#state(RunState.RUNNING, "");
    await publishEvent(
      membership.streams,
      runId,
      {
        case: "datasetReady",
        value: { rows: data.rows.count, completed: data.rows.completed?.length ?? data.rows.count, dropped: { ...data.dropped } },
      },
      `dataset/${this.#fence}`,
    );
    if (this.#step === 0) await this.#evaluate();
    return this.#loop();
  }

  async #loop(): Promise<Ending> {
    const { run } = this.#context.membership;
    while (this.#step < run.totalSteps) {
      const ending = await this.#controlled();
      if (ending) return ending;
      const phase = phaseOf(run, this.#step + 1);
      if (phase.firstStep === this.#step + 1) await this.#enter(phase);
      if (!(await this.#advance(phase))) continue;
      await this.#routine();
    }
    return this.#finish();
  }

  /** Checkpoints and evaluations that are due after a step. */
  async #routine(): Promise<void> {
    const { spec, run } = this.#context.membership;
    const due = (every: number | undefined) => Boolean(every) && this.#step % every! === 0 && this.#step < run.totalSteps;
    // In this order: a version that is resumed from has been evaluated.
    if (due(run.evaluation?.everySteps)) await this.#evaluate();
    if (due(spec.checkpoints?.everySteps)) await this.#checkpoint();
  }

  async #enter(phase: Phase): Promise<void> {
    const { streams, runId } = this.#context.membership;
    const { name, firstStep, lastStep } = phase;
    await this.#context.host.configure(this.#trainerOptions(phase));
    await publishEvent(streams, runId, { case: "phaseStarted", value: { name, firstStep, lastStep } }, `phase/${firstStep}/${this.#fence}`);
  }

  /** One optimiser step. False if it was interrupted before its batch was complete. */
  async #advance(phase: Phase): Promise<boolean> {
    const step = this.#step + 1;
    const started = performance.now();
    await this.#issueAhead(step);
    const { tasks, span } = this.#issued.get(step)!;
    const done = await span.run(() => this.#train(phase, step, tasks, started));
    if (!done) return false;
    this.#issued.delete(step);
    span.end();
    return true;
  }

  async #train(phase: Phase, step: number, tasks: number, started: number): Promise<boolean> {
    const { membership, results, host, onStep } = this.#context;
    const { run } = membership;
    const token = stepToken({ purpose: Purpose.TRAIN, step });
    onStep(this.#step, `waiting for the results of step ${step}`);
    const found = await results.wait(token, tasks, run.stepTimeoutMs, () => this.#interrupted());
    if (!found) return false;
    const collected = performance.now();
    const assembled = assemble(found, phase, step);
    await this.#reportFailures(assembled, step);
    if (assembled.batch.length === 0) {
      throw new RetortError(
        "FailedPrecondition",
        `step ${step}: every prompt failed; the first one: ${assembled.failures[0]?.reason ?? "unknown"}`,
      );
    }
    onStep(this.#step, `training step ${step}`);
    const rate = learningRate(
      { ...phase.optimizer, kind: phase.optimizer.schedule, totalSteps: phase.lastStep - phase.firstStep + 1 },
      step - phase.firstStep + 1,
    );
    const alarm = (id: string, message: string) => publishAlarm(this.#context, `${id}/${this.#fence}`, message);
    const stats = await traced("train", {}, () => host.step(assembled.batch, rate)).catch((error: unknown) => endOf(step, error, alarm));
    for (const { kind, message } of this.#alarms.of(step, stats)) await alarm(`${kind}/${step}`, message);
    const trained = performance.now();
    this.#step = step;
    await traced("publish weights", {}, () => this.#publishWeights(false));
    const published = performance.now();
    results.forget(token);
    const times = {
      seconds: published - started,
      waitSeconds: collected - started,
      trainSeconds: trained - collected,
      publishSeconds: published - trained,
    };
    const source = found[0]!.rollout!.source;
    await this.#reportStep(phase, assembled, stats, times, source);
    await purge(membership.streams, streamNames.results, subjects.results(membership.runId, { purpose: Purpose.TRAIN, step }));
    onStep(step, "", stats, times.seconds / 1000);
    return true;
  }

  /** Hands out the steps whose policy version exists: this one and `maxStaleness` more. */
  async #issueAhead(step: number): Promise<void> {
    const { membership } = this.#context;
    const { run } = membership;
    for (let ahead = step; ahead <= Math.min(run.totalSteps, step + run.maxStaleness); ahead++) {
      if (this.#issued.has(ahead)) continue;
      const plan = planStep(run, this.#rows, ahead, taskCapacity(phaseOf(run, ahead), this.#recordSize));
      const span = openSpan("step", { run: membership.runId, step: ahead });
      const tasks = await span.run(() => issueStep(membership, plan, this.#items, Number(this.#fence)));
      this.#issued.set(ahead, { tasks, span });
    }
  }

  /** Stores the current version and announces it; versions that nothing can ask for any more are deleted. */
  async #publishWeights(whole: boolean): Promise<void> {
    const { membership, host } = this.#context;
    const { store, runs, run, runId } = membership;
    await this.#guard();
    const files = new Map(Object.entries(await host.files(whole)));
    if (whole && this.#step > 0) await store.put(runId, 0, files, this.#fence);
    await store.put(runId, this.#step, files, this.#fence);
    await runs.setPolicy(runId, { version: this.#step, fence: this.#fence });
    const old = this.#step - run.maxStaleness - 2;
    // Version 0 stays: config and tokenizer come with it.
    if (old > 0) await store.delete(runId, old);
  }

  /** Refuses to go on when another learner has taken the run over. */
  async #guard(): Promise<void> {
    const { runs, runId } = this.#context.membership;
    const { fence } = await runs.get(runId);
    if (fence !== this.#fence)
      throw new RetortError("Aborted", `run ${runId} was taken over by another learner (fence ${fence}, ours ${this.#fence})`, {
        retry: "never",
      });
  }

  async #reportFailures({ failures }: Assembled, step: number): Promise<void> {
    const { streams, runId } = this.#context.membership;
    for (const { task, prompt, reason } of failures) {
      const key = { runId, purpose: Purpose.TRAIN, step, task, attempt: Number(this.#fence) };
      await publishEvent(
        streams,
        runId,
        { case: "taskFailed", value: { key, prompt, reason } },
        `failed/${step}/${task}/${prompt}/${this.#fence}`,
      );
    }
  }

  async #reportStep(
    phase: Phase,
    assembled: Assembled,
    stats: StepStats,
    ms: Readonly<Record<"seconds" | "waitSeconds" | "trainSeconds" | "publishSeconds", number>>,
    source: Source,
  ): Promise<void> {
    const { streams, runId, run, runs } = this.#context.membership;
    const step = this.#step;
    const { batch, failures, ...figures } = assembled;
    const times = Object.fromEntries(Object.entries(ms).map(([name, value]) => [name, value / 1000]));
    const { sequenceDivergence, completionTokens, ...rest } = stats;
    const value = {
      step,
      totalSteps: run.totalSteps,
      phase: phase.name,
      source,
      sequences: batch.length,
      failedPrompts: failures.length,
      completionTokens,
      tasksInFlight: [...this.#issued].reduce((sum, [ahead, { tasks }]) => (ahead > step ? sum + tasks : sum), 0),
      ...figures,
      ...rest,
      ...times,
    };
    await publishEvent(streams, runId, { case: "stepFinished", value }, `step/${step}/${this.#fence}`);
    await runs.update(runId, (next) => {
      next.step = step;
      return true;
    });
  }

  async #checkpoint(): Promise<void> {
    if (this.#saved === this.#step) return;
    const { streams, runId } = this.#context.membership;
    await this.#guard();
    const { path, digest } = await this.#checkpoints.save(this.#context.host, this.#step);
    this.#saved = this.#step;
    await publishEvent(
      streams,
      runId,
      { case: "checkpointSaved", value: { step: this.#step, path, digest } },
      `checkpoint/${this.#step}/${this.#fence}`,
    );
  }

  async #evaluate(): Promise<void> {
    const { membership, host, onStep } = this.#context;
    const { run, streams, runId } = membership;
    if (!run.evaluation || this.#heldOut.length === 0) return;
    onStep(this.#step, `evaluating version ${this.#step}`);
    const figures = await evaluateVersion(this.#context, {
      version: this.#step,
      attempt: Number(this.#fence),
      items: this.#heldOut,
      settings: run.evaluation,
      recordSize: this.#recordSize,
    });
    await publishEvent(streams, runId, { case: "evaluationFinished", value: figures }, `evaluation/${this.#step}/${this.#fence}`);
    const best = await this.#best?.consider(host, this.#step, bestValue(figures, this.#best.metric));
    if (!best) return;
    await membership.runs.update(runId, (next) => {
      next.best = create(BestCheckpointSchema, best);
      return true;
    });
    await publishEvent(streams, runId, { case: "bestCheckpoint", value: best }, `best/${this.#step}/${this.#fence}`);
  }

  async #interrupted(): Promise<boolean> {
    const { membership, stop } = this.#context;
    return stop.aborted || (await membership.runs.control(membership.runId)) !== "run";
  }

  /** Pauses and stops as the controller wants it. */
  async #controlled(): Promise<Ending | undefined> {
    const { membership, stop, onStep } = this.#context;
    const { runs, runId } = membership;
    let paused = false;
    for (;;) {
      if (stop.aborted) {
        await this.#checkpoint();
        return "handedBack";
      }
      const control = await runs.control(runId);
      if (control === "stop") {
        await this.#checkpoint();
        return "stopped";
      }
      if (control === "run") {
        if (paused) await this.#state(RunState.RUNNING, "");
        return undefined;
      }
      if (!paused) {
        await this.#checkpoint();
        await this.#state(RunState.PAUSED, "");
        onStep(this.#step, "paused");
        paused = true;
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  async #finish(): Promise<Ending> {
    const { membership, host } = this.#context;
    await this.#evaluate();
    await this.#checkpoint();
    const output = membership.spec.output || join(this.#directory, "student");
    await host.save(output, false);
    await membership.runs.update(membership.runId, (run) => {
      run.output = output;
      return true;
    });
    return "succeeded";
  }

  async #state(state: RunState, message: string): Promise<void> {
    const { runs, runId, streams, run } = this.#context.membership;
    await runs.update(runId, (next) => {
      next.state = state;
      next.message = message;
      next.totalSteps = run.totalSteps;
      return true;
    });
    await publishEvent(streams, runId, { case: "stateChanged", value: { state, message } }, `state/${state}/${this.#step}/${this.#fence}`);
  }

  #trainerOptions({ objective, optimizer }: Phase): TrainerOptions {
    const { device, threads } = this.#context;
    const { microBatchTokens, beta1, beta2, epsilon, weightDecay, maxGradNorm } = optimizer;
    return { device, threads, objective, microBatchTokens, optimizer: { beta1, beta2, epsilon, weightDecay, maxGradNorm } };
  }
}
