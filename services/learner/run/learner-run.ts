import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { purge } from "../../shared/base/streams/ensure.js";
import { type OpenSpan, openSpan, traced } from "../../shared/base/tracing.js";
import { taskCapacity } from "../../shared/codec/task-capacity.js";
import { planStep } from "../../shared/flow/prompts/plan.js";
import { lastOf } from "../../shared/flow/runs/events.js";
import { type Phase, phaseOf } from "../../shared/flow/runs/resolve.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { streamNames } from "../../shared/flow/streams.js";
import { stepToken, subjects } from "../../shared/flow/subjects.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import { BestCheckpointSchema, CheckpointSavedSchema, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { learningRate } from "../../shared/ml/optim/schedule.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import { publishWeights } from "../context/publish-weights.js";
import { guard, type LearnerContext, type RunContext, takeOver, waitFor } from "../context/run-context.js";
import { withRoom } from "../context/with-room.js";
import { evaluateVersion } from "../evaluation/evaluate-version.js";
import { bestValue, type EvaluationFigures } from "../evaluation/evaluation-figures.js";
import { BestKeeper } from "../model/best-keeper.js";
import { Checkpoints } from "../model/checkpoints.js";
import { recordStep } from "../step/account.js";
import { Alarms, endOf, publishAlarm } from "../step/alarms.js";
import { assemble } from "../step/assemble.js";
import { stepFigures } from "../step/step-figures.js";
import { issueStep } from "../tasks/issue.js";
import type { PlannedTask } from "../tasks/planned-task.js";
import { type PreparedRun, prepareRun, trainerOptions } from "./prepare-run.js";

/** How a run's learner came to its end; `over` for a run that was over before it began. */
export type Ending = "succeeded" | "stopped" | "handedBack" | "over";

/** Steps that have been issued and are not trained yet. */
interface Issued {
  readonly tasks: readonly PlannedTask[];
  readonly span: OpenSpan;
}

/**
 * A run from its newest checkpoint to its end. The learner alone knows the step: it issues the prompts of steps up to
 * `maxStaleness` ahead, collects each step's results in order, trains, and publishes the next version.
 */
export class LearnerRun {
  readonly #context: RunContext;
  readonly #prepared: PreparedRun;
  readonly #checkpoints: Checkpoints;
  readonly #best: BestKeeper | undefined;
  readonly #alarms: Alarms;
  readonly #directory: string;
  readonly #fromStep: number;
  #step: number;
  #saved: number;
  #savedAt = Date.now();
  readonly #issued = new Map<number, Issued>();

  private constructor(context: RunContext, prepared: PreparedRun, checkpoints: Checkpoints, directory: string) {
    this.#context = context;
    this.#prepared = prepared;
    this.#directory = directory;
    this.#checkpoints = checkpoints;
    this.#fromStep = prepared.step;
    this.#step = prepared.step;
    this.#saved = prepared.step;
    const { run } = context.membership;
    this.#alarms = new Alarms(run.maxStaleness === 0);
    const keepBest = run.evaluation?.keepBest;
    this.#best = keepBest && new BestKeeper(join(directory, "best"), keepBest);
  }

  /** Takes a run over, and leads it to its end. One that is to stop is not taken up again, and only a resume leaves a final state. */
  static async execute(learner: LearnerContext): Promise<Ending> {
    const { runId, runs, spec } = learner.membership;
    if (isOver((await runs.get(runId)).state)) return "over";
    const directory = join(learner.dataDir, "runs", runId);
    const checkpoints = new Checkpoints(join(directory, "checkpoints"), spec.checkpoints?.keep || 2);
    if ((await runs.control(runId)) === "stop") return stopWithout(learner, checkpoints);
    const context = await takeOver(learner);
    const prepared = await prepareRun(context, checkpoints);
    if (!prepared) return context.stop.aborted ? "handedBack" : "stopped";
    return new LearnerRun(context, prepared, checkpoints, directory).#lead();
  }

  async #lead(): Promise<Ending> {
    const { report } = this.#context;
    await report.state(RunState.RUNNING, this.#step);
    const { data } = this.#prepared;
    const { count, completed } = data.rows;
    await report.event(
      { case: "datasetReady", value: { rows: count, completed: completed?.length ?? count, dropped: { ...data.dropped } } },
      "dataset",
    );
    try {
      // A version that is resumed from may have been saved before it was evaluated.
      if (this.#step === 0 || this.#evaluationIsDue()) await this.#evaluate();
      return await this.#loop();
    } catch (error) {
      await this.#saveWhatThereIs(error);
      throw error;
    }
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

  #evaluationIsDue(): boolean {
    const { run } = this.#context.membership;
    const every = run.evaluation?.everySteps;
    return Boolean(every) && this.#step % every! === 0 && this.#step < run.totalSteps;
  }

  #checkpointIsDue(): boolean {
    const { checkpoints } = this.#context.membership.spec;
    const every = checkpoints?.everySteps;
    if (every && this.#step % every === 0) return true;
    const seconds = checkpoints?.everySeconds ?? defaultCheckpointSeconds;
    return seconds > 0 && Date.now() - this.#savedAt >= 1000 * seconds;
  }

  /** Checkpoints and evaluations that are due after a step. A version is saved before it is evaluated, which takes long. */
  async #routine(): Promise<void> {
    if (this.#step >= this.#context.membership.run.totalSteps) return;
    const evaluates = this.#evaluationIsDue();
    if (evaluates || this.#checkpointIsDue()) await this.#checkpoint();
    if (evaluates) await this.#evaluate();
  }

  async #enter(phase: Phase): Promise<void> {
    const { name, firstStep, lastStep } = phase;
    await this.#context.host.configure(trainerOptions(this.#context, phase));
    await this.#context.report.event({ case: "phaseStarted", value: { name, firstStep, lastStep } }, String(firstStep));
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

  async #train(phase: Phase, step: number, tasks: readonly PlannedTask[], started: number): Promise<boolean> {
    const { membership, results, onStep, fence, report } = this.#context;
    const key = { purpose: Purpose.TRAIN as const, step, attempt: Number(fence) };
    const token = stepToken(key);
    onStep(this.#step, `waiting for the results of step ${step}`);
    const found = await waitFor(this.#context, token, tasks, () => this.#interrupted());
    if (!found) return false;
    const collected = performance.now();
    const assembled = assemble(found, phase, step);
    await report.failures(assembled.failures, step);
    if (assembled.batch.length === 0) {
      throw new RetortError(
        "FailedPrecondition",
        `step ${step}: every prompt failed; the first one: ${assembled.failures[0]?.reason ?? "unknown"}`,
      );
    }
    onStep(step, `training step ${step}`);
    const stats = await this.#optimise(phase, step, assembled.batch);
    const trained = performance.now();
    this.#step = step;
    await traced("publish weights", {}, () => publishWeights(this.#context, step, false));
    const published = performance.now();
    results.forget(token);
    await recordStep(this.#context, step, this.#fromStep, tasks, assembled);
    const source = tasks[0]!.source;
    const times = { started, collected, trained, published };
    const inFlight = [...this.#issued].reduce((sum, [ahead, one]) => (ahead > step ? sum + one.tasks.length : sum), 0);
    const value = { step, totalSteps: membership.run.totalSteps, source, tasksInFlight: inFlight };
    await report.event({ case: "stepFinished", value: { ...value, ...stepFigures(phase, assembled, stats, times) } }, String(step));
    await membership.runs.update(membership.runId, (next) => {
      next.step = step;
      return true;
    });
    await purge(membership.streams, streamNames.results, subjects.results(membership.runId, key));
    onStep(step, "", stats, (published - started) / 1000);
    return true;
  }

  async #optimise(phase: Phase, step: number, batch: Parameters<RunContext["host"]["step"]>[0]): Promise<StepStats> {
    const rate = learningRate(
      { ...phase.optimizer, kind: phase.optimizer.schedule, totalSteps: phase.lastStep - phase.firstStep + 1 },
      step - phase.firstStep + 1,
    );
    const alarm = (id: string, message: string) => publishAlarm(this.#context, `${id}/${this.#context.fence}`, message);
    const stats = await traced("train", {}, () => this.#context.host.step(batch, rate)).catch((error: unknown) =>
      endOf(step, error, alarm),
    );
    for (const { kind, message } of this.#alarms.of(step, stats)) await alarm(`${kind}/${step}`, message);
    return stats;
  }

  /** Hands out the steps whose policy version exists: this one and `maxStaleness` more. */
  async #issueAhead(step: number): Promise<void> {
    const { membership, fence } = this.#context;
    const { data, recordSize } = this.#prepared;
    const { run } = membership;
    for (let ahead = step; ahead <= Math.min(run.totalSteps, step + run.maxStaleness); ahead++) {
      if (this.#issued.has(ahead)) continue;
      const plan = planStep(run, data.rows, ahead, taskCapacity(phaseOf(run, ahead), recordSize));
      const span = openSpan("step", { run: membership.runId, step: ahead });
      const tasks = await span.run(() => issueStep(membership, plan, data.items, Number(fence)));
      this.#issued.set(ahead, { tasks, span });
    }
  }

  async #checkpoint(): Promise<void> {
    if (this.#saved === this.#step) return;
    const { host, report, membership } = this.#context;
    const step = this.#step;
    await guard(this.#context);
    const what = `the checkpoint of step ${step}`;
    const { path, digest } = await withRoom(this.#context, what, this.#directory, () => this.#checkpoints.save(host, step));
    this.#saved = step;
    this.#savedAt = Date.now();
    await membership.runs.update(membership.runId, (next) => {
      next.checkpoint = create(CheckpointSavedSchema, { step, path, digest });
      return true;
    });
    await report.event({ case: "checkpointSaved", value: { step, path, digest } }, String(step));
  }

  /** Before a failure ends the run: what has been trained can be exported, and resumed from. */
  async #saveWhatThereIs(error: unknown): Promise<void> {
    const { code } = RetortError.from(error);
    // Another learner has the run, or there is no room, which was waited for.
    if (code === "Aborted" || code === "ResourceExhausted") return;
    await this.#checkpoint().catch((failure: unknown) =>
      this.#context.log.error({ err: failure }, "the last checkpoint could not be saved"),
    );
  }

  /** Measures the current version, unless it has been. False if the run is to stop meanwhile. */
  async #evaluate(): Promise<boolean> {
    const { membership, onStep, report, fence } = this.#context;
    const { run, runId } = membership;
    const { data, recordSize } = this.#prepared;
    if (!run.evaluation || data.heldOut.length === 0 || (await this.#isEvaluated())) return true;
    onStep(this.#step, `evaluating version ${this.#step}`);
    const figures = await evaluateVersion(this.#context, {
      version: this.#step,
      attempt: Number(fence),
      items: data.heldOut,
      settings: run.evaluation,
      recordSize,
    });
    if (!figures) return false;
    const best = await this.#considerBest(figures);
    await report.event({ case: "evaluationFinished", value: figures }, String(this.#step));
    if (!best) return true;
    await membership.runs.update(runId, (next) => {
      next.best = create(BestCheckpointSchema, best);
      return true;
    });
    await report.event({ case: "bestCheckpoint", value: best }, String(this.#step));
    return true;
  }

  #considerBest(figures: EvaluationFigures) {
    const best = this.#best;
    if (!best) return undefined;
    const what = `the best checkpoint, of step ${this.#step}`;
    return withRoom(this.#context, what, this.#directory, () =>
      best.consider(this.#context.host, this.#step, bestValue(figures, best.metric)),
    );
  }

  /** True if this version's figures have been told, by this learner or by the one whose checkpoint it goes on from. */
  async #isEvaluated(): Promise<boolean> {
    const { streams, runId } = this.#context.membership;
    return (await lastOf(streams, runId, "evaluationFinished"))?.value.version === this.#step;
  }

  async #interrupted(): Promise<boolean> {
    const { membership, stop } = this.#context;
    return stop.aborted || (await membership.runs.control(membership.runId)) !== "run";
  }

  /** Pauses and stops as the controller wants it. */
  async #controlled(): Promise<Ending | undefined> {
    const { membership, stop, onStep, report } = this.#context;
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
        if (paused) await report.state(RunState.RUNNING, this.#step);
        return undefined;
      }
      if (!paused) {
        await this.#checkpoint();
        await report.state(RunState.PAUSED, this.#step);
        onStep(this.#step, "paused");
        paused = true;
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  async #finish(): Promise<Ending> {
    const { membership, host } = this.#context;
    await this.#checkpoint();
    while (!(await this.#evaluate())) {
      const ending = await this.#controlled();
      if (ending) return ending;
    }
    const output = membership.spec.output || join(this.#directory, "student");
    await withRoom(this.#context, "the trained student", output, () => host.save(output, false)).catch((error: unknown) => {
      throw notSaved(error, membership.runId, output);
    });
    await membership.runs.update(membership.runId, (run) => {
      run.output = output;
      return true;
    });
    return "succeeded";
  }
}

/** Stops a run whose learner was lost while it was stopping: what can be resumed is the newest checkpoint. */
async function stopWithout({ membership: { runs, runId } }: LearnerContext, checkpoints: Checkpoints): Promise<Ending> {
  const { found } = await checkpoints.newest();
  await runs.update(runId, (next) => {
    next.step = found?.step ?? 0;
    return true;
  });
  return "stopped";
}

/** Longest time between two checkpoints, where the spec says nothing. */
const defaultCheckpointSeconds = 600;

/** All is trained and in the last checkpoint; only the directory cannot be written. */
function notSaved(thrown: unknown, runId: string, output: string): RetortError {
  const { code, message } = RetortError.from(thrown);
  return new RetortError(
    code,
    `the trained student could not be saved to ${output}: ${message}; its weights are in the last checkpoint: retort export ${runId} --out DIR`,
    { fieldPath: "output", retry: "never", cause: thrown },
  );
}
