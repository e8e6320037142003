import { join } from "node:path";
import { traced } from "../../shared/base/tracing.js";
import { resolveCheckpoints } from "../../shared/flow/runs/checkpoints.js";
import type { ProcessReporter } from "../../shared/flow/runs/process-reporter.js";
import { type Phase, phaseOf } from "../../shared/flow/runs/resolve.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { publishWeights } from "../context/publish-weights.js";
import type { LearnerContext, RunContext } from "../context/run-context.js";
import { takeOver } from "../context/take-over.js";
import { Evaluations } from "../evaluation/evaluations.js";
import { Checkpoints } from "../model/checkpoints.js";
import { Alarms } from "../step/alarms.js";
import { collectStep } from "../step/collect-step.js";
import { finishStep, type TrainedStep } from "../step/finish-step.js";
import { type IssuedStep, IssuedSteps } from "../step/issued-steps.js";
import { optimise } from "../step/optimise.js";
import { SampleRecorder } from "../step/sample-recorder.js";
import { obeyControl } from "./control.js";
import type { Ending } from "./ending.js";
import { type PreparedRun, prepareRun, trainerOptions } from "./prepare-run.js";
import { RunCheckpoints } from "./run-checkpoints.js";
import { saveStudent } from "./save-student.js";

/**
 * A run from its newest checkpoint to its end. The learner alone knows the step: it issues the prompts of steps up to
 * `maxStaleness` ahead, collects each step's results in order, trains, and publishes the next version.
 */
export class LearnerRun {
  readonly #context: RunContext;
  readonly #prepared: PreparedRun;
  readonly #directory: string;
  readonly #checkpoints: RunCheckpoints;
  readonly #evaluations: Evaluations;
  readonly #alarms: Alarms;
  readonly #issued: IssuedSteps;
  readonly #recorder: SampleRecorder;
  /** The last step that is trained: the version that the model has. */
  #step: number;
  /** That version is announced; what is left to do for it is done; the steps that may be sampled with it are handed out. */
  #announced: Promise<void> = Promise.resolve();
  #published: Promise<void> = Promise.resolve();
  #ahead: Promise<void> = Promise.resolve();
  /** The last step is accounted for and reported: beside the sampling of the next. */
  #accounted: Promise<void> = Promise.resolve();

  private constructor(context: RunContext, prepared: PreparedRun, checkpoints: Checkpoints, directory: string) {
    const { step, data, recordSize } = prepared;
    this.#context = context;
    this.#prepared = prepared;
    this.#directory = directory;
    this.#checkpoints = new RunCheckpoints(context, checkpoints, directory, step);
    this.#evaluations = new Evaluations(context, { heldOut: data.heldOut, recordSize, directory, fromStep: step });
    this.#alarms = new Alarms(context.membership.run.maxStaleness === 0);
    this.#recorder = new SampleRecorder(context);
    this.#issued = new IssuedSteps(context, { items: data.items, rows: data.rows, recordSize, fromStep: step });
    this.#step = step;
  }

  /** Takes a run over, and leads it to its end. One that is to stop is not taken up again, and only a resume leaves a final state. */
  static async execute(learner: LearnerContext): Promise<Ending> {
    const { runId, runs, spec } = learner.membership;
    if (isOver((await runs.get(runId)).state)) return "over";
    const directory = join(learner.dataDir, "runs", runId);
    const checkpoints = new Checkpoints(join(directory, "checkpoints"), resolveCheckpoints(spec.checkpoints).keep);
    if ((await runs.control(runId)) === "stop") return stopWithout(learner, checkpoints);
    const context = await takeOver(learner);
    const prepare = () => prepareRun(context, checkpoints);
    const prepared = await learner.membership.process.during(Work.LOADING, "the student and the data", prepare);
    if (!prepared) return context.stop.aborted ? "handedBack" : "stopped";
    return new LearnerRun(context, prepared, checkpoints, directory).#lead();
  }

  get #process(): ProcessReporter {
    return this.#context.membership.process;
  }

  async #lead(): Promise<Ending> {
    const { report, progress } = this.#context;
    progress.tookOver(this.#step);
    await report.state(RunState.RUNNING, this.#step);
    const { rows, dropped } = this.#prepared.data;
    const completed = rows.completed?.length ?? rows.count;
    await report.event({ case: "datasetReady", value: { rows: rows.count, completed, dropped: { ...dropped } } }, "dataset");
    try {
      // A version that is resumed from may have been saved before it was evaluated.
      if (this.#evaluations.isDue(this.#step)) await this.#evaluations.measure(this.#step);
      const ending = await this.#loop();
      await Promise.all([this.#published, this.#ahead, this.#recorder.published()]);
      return ending;
    } catch (error) {
      await this.#accounted.catch(() => {});
      await this.#checkpoints.saveAfter(error, this.#step);
      throw error;
    }
  }

  async #loop(): Promise<Ending> {
    const { run } = this.#context.membership;
    while (this.#step < run.totalSteps) {
      const ending = await this.#obeyControl();
      if (ending) return ending;
      const phase = phaseOf(run, this.#step + 1);
      if (phase.firstStep === this.#step + 1) await this.#enter(phase);
      if (await this.#advance()) await this.#routine();
    }
    return this.#finish();
  }

  #obeyControl(): Promise<Ending | undefined> {
    return obeyControl(this.#context, this.#step, () => this.#save());
  }

  async #enter(phase: Phase): Promise<void> {
    await this.#accounted;
    const { name, firstStep, lastStep } = phase;
    await this.#context.host.configure(trainerOptions(this.#context, phase));
    await this.#context.report.event({ case: "phaseStarted", value: { name, firstStep, lastStep } }, String(firstStep));
  }

  /** One optimiser step. False if it was interrupted before its batch was complete. */
  async #advance(): Promise<boolean> {
    const startedMs = performance.now();
    await this.#ahead;
    const issued = await this.#issued.take(this.#step + 1);
    this.#ahead = this.#announced.then(() => this.#issued.takeAhead(issued.step));
    // Who waits for it hears of what went wrong.
    this.#ahead.catch(() => {});
    const done = await issued.span.run(() => this.#train(issued, startedMs));
    if (!done) return false;
    this.#issued.finished(issued.step);
    issued.span.end();
    return true;
  }

  async #train(issued: IssuedStep, startedMs: number): Promise<boolean> {
    const { step, phase } = issued;
    const assembled = await collectStep(this.#context, issued);
    if (!assembled) return false;
    const collectedMs = performance.now();
    const watched = this.#recorder.members(step, assembled.batch.length);
    const stats = await optimise(this.#context, this.#alarms, phase, step, { batch: assembled.batch, watched });
    const trainedMs = performance.now();
    this.#step = step;
    const publish = () => this.#process.during(Work.PUBLISHING, `version ${step}`, step, () => this.#publish(step));
    await traced("publish weights", {}, publish);
    await Promise.all([this.#ahead, this.#accounted]);
    const times = { startedMs, collectedMs, trainedMs, publishedMs: performance.now() };
    const [fromStep, tasksInFlight] = [this.#prepared.step, this.#issued.tasksBeyond(step)];
    this.#accounted = this.#account({ issued, assembled, stats, times, fromStep, tasksInFlight }, watched);
    // Who waits for it hears of what went wrong.
    this.#accounted.catch(() => {});
    return true;
  }

  async #account(trained: TrainedStep, watched: readonly number[]): Promise<void> {
    await finishStep(this.#context, trained);
    const { issued, assembled, stats } = trained;
    await this.#recorder.record(issued.step, assembled, watched, stats.watched);
  }

  /** Where samples may lag behind, a version is stored and announced while the next step is collected and trained. */
  async #publish(step: number): Promise<void> {
    await this.#published;
    const { announced, done } = await publishWeights(this.#context, step, false);
    [this.#announced, this.#published] = [announced, done];
    if (this.#context.membership.run.maxStaleness === 0) await announced;
  }

  /** Checkpoints and evaluations that are due after a step. A version is saved before it is evaluated, which takes long. */
  async #routine(): Promise<void> {
    const step = this.#step;
    if (step >= this.#context.membership.run.totalSteps) return;
    const measures = this.#evaluations.isDue(step);
    if (measures) await this.#published;
    if (measures || this.#checkpoints.isDue(step)) await this.#save();
    if (measures) await this.#evaluations.measure(step);
  }

  /** Saves a checkpoint of the last step, which is accounted for by then. */
  async #save(): Promise<void> {
    await this.#accounted;
    await this.#checkpoints.save(this.#step);
  }

  async #finish(): Promise<Ending> {
    await this.#published;
    await this.#save();
    while (!(await this.#evaluations.measure(this.#step))) {
      const ending = await this.#obeyControl();
      if (ending) return ending;
    }
    await saveStudent(this.#context, this.#directory);
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
