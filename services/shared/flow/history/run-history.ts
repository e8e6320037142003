import type {
  AuditFinished,
  DatasetReady,
  EvaluationFinished,
  LearnerStarted,
  ModelOpened,
  PhaseStarted,
  ProcessName,
  RunEvent,
  SamplesRecorded,
  StepFinished,
  Waiting,
} from "../../gen/retort/v1/events_pb.js";
import { type BestCheckpoint, type CheckpointSaved, RunState } from "../../gen/retort/v1/run_pb.js";
import { evaluationValues, stepValues } from "./figures.js";
import { ProcessHistory, processKey } from "./process-history.js";
import { type Series, SeriesTable } from "./series.js";

/** What was said, and when: in seconds since the run's first event. */
export interface At<T> {
  readonly seconds: number;
  readonly value: T;
}

/** Something worth knowing that doesn't stop the run. */
export interface Note {
  readonly seconds: number;
  readonly message: string;
  /** Something is wrong with the training itself. */
  readonly alarm: boolean;
}

/** What a history holds at most. */
export interface HistoryLimits {
  /** Recorded steps whose samples are kept: the newest. Default: 1000. */
  readonly sampledSteps?: number;
}

/** Warnings, reasons of failures and waits that are kept. */
const maxNotes = 1000;

/**
 * A run as its events tell it: push them in order, as they come. A learner that takes the run over behind an earlier step takes
 * back what followed that step, so of steps that were trained twice the last one counts. It needs no Node, and is what the page,
 * reports, trackers and the controller read.
 */
export class RunHistory {
  readonly #steps = new SeriesTable();
  readonly #evaluations = new SeriesTable();
  readonly #limits: Required<HistoryLimits>;
  #firstMs: number | undefined;

  /** Sequence number of the last event; 0 before the first. */
  sequence = 0;
  /** Seconds from the first event to the last. */
  seconds = 0;
  totalSteps = 0;
  state = RunState.UNSPECIFIED;
  /** Why it is in that state, where that was said. */
  stateMessage = "";
  states: At<RunState>[] = [];
  learners: At<LearnerStarted>[] = [];
  phases: At<PhaseStarted>[] = [];
  evaluations: At<EvaluationFinished>[] = [];
  /** Recorded samples, in the order of steps. */
  samples: SamplesRecorded[] = [];
  checkpoints: At<CheckpointSaved>[] = [];
  best: BestCheckpoint | undefined;
  dataset: DatasetReady | undefined;
  audit: AuditFinished | undefined;
  /** Models whose weights aren't held in float32. */
  models: ModelOpened[] = [];
  /** Warnings and alarms: the first 1000. */
  warnings: Note[] = [];
  /** Long waits: the newest 1000. */
  waits: At<Waiting>[] = [];
  /** Prompts that failed, by reason: the first 1000 reasons. */
  readonly failures = new Map<string, number>();
  /** By `role/instance`, or `teacher/name/instance`. */
  readonly processes = new Map<string, ProcessHistory>();

  constructor({ sampledSteps = 1000 }: HistoryLimits = {}) {
    this.#limits = { sampledSteps };
  }

  /** When the first event was said, in milliseconds since 1970; undefined before it. */
  get startedMs(): number | undefined {
    return this.#firstMs;
  }

  /** Last step that was finished; 0 before the first. */
  get step(): number {
    return this.#steps.lastStep;
  }

  /** Completion tokens that were trained on until then. */
  get tokens(): number {
    return this.#steps.lastTokens;
  }

  /** Every curve by name: fields of StepFinished, and of EvaluationFinished after `evaluation.`, at the version's step. */
  get figures(): ReadonlyMap<string, Series> {
    return new Map([...this.#steps.series(), ...this.#evaluations.series()]);
  }

  /** Takes the next event. One that is older than the last is left out: a reader that begins again repeats some. */
  push({ sequence, time, event }: RunEvent): void {
    if (Number(sequence) < this.sequence) return;
    this.sequence = Number(sequence);
    if (time) {
      const ms = Number(time.seconds) * 1000 + time.nanos / 1e6;
      this.#firstMs ??= ms;
      // Clocks of several machines differ a little, and time doesn't go back.
      this.seconds = Math.max(this.seconds, (ms - this.#firstMs) / 1000);
    }
    this.#take(event);
  }

  #take(event: RunEvent["event"]): void {
    const { step, seconds, tokens } = this;
    switch (event.case) {
      case "stepFinished":
        this.#step(event.value);
        break;
      case "evaluationFinished":
        this.#evaluation(event.value);
        break;
      case "samplesRecorded":
        this.#sampled(event.value);
        break;
      case "learnerStarted":
        this.#learner(event.value);
        break;
      case "stateChanged":
        this.#state(event.value.state, event.value.message);
        break;
      case "activity":
        this.#process(event.value.process).does(event.value, seconds);
        break;
      case "processFigures":
        this.#process(event.value.process).uses(event.value, { step, seconds, tokens });
        break;
      default:
        this.#note(event);
    }
  }

  #note(event: RunEvent["event"]): void {
    switch (event.case) {
      case "phaseStarted":
        this.phases.push(this.#at(event.value));
        break;
      case "checkpointSaved":
        this.checkpoints.push(this.#at(event.value));
        break;
      case "bestCheckpoint":
        this.best = event.value;
        break;
      case "datasetReady":
        this.dataset = event.value;
        break;
      case "auditFinished":
        this.audit = event.value;
        break;
      case "modelOpened":
        this.models.push(event.value);
        break;
      case "warning":
        if (this.warnings.length < maxNotes) this.warnings.push({ seconds: this.seconds, ...event.value });
        break;
      case "waiting":
        this.waits.push(this.#at(event.value));
        if (this.waits.length > maxNotes) this.waits.shift();
        break;
      case "taskFailed": {
        const { reason } = event.value;
        const count = this.failures.get(reason);
        if (count !== undefined || this.failures.size < maxNotes) this.failures.set(reason, (count ?? 0) + 1);
      }
    }
  }

  #at<T>(value: T): At<T> {
    return { seconds: this.seconds, value };
  }

  #step(step: StepFinished): void {
    this.#steps.truncate(step.step - 1);
    this.totalSteps = step.totalSteps;
    this.#steps.append({ step: step.step, seconds: this.seconds, tokens: this.tokens + step.completionTokens });
    for (const [name, value] of stepValues(step)) this.#steps.set(name, value);
  }

  #evaluation(evaluation: EvaluationFinished): void {
    const { version } = evaluation;
    this.#evaluations.truncate(version - 1);
    // Version 0 isn't beyond any step.
    this.evaluations = this.evaluations.filter(({ value }) => value.version < version);
    this.evaluations.push(this.#at(evaluation));
    this.#evaluations.append({ step: version, seconds: this.seconds, tokens: this.tokens });
    for (const [name, value] of evaluationValues(evaluation)) this.#evaluations.set(name, value);
  }

  #sampled(recorded: SamplesRecorded): void {
    const last = this.samples.at(-1);
    // A learner's records of one step may be too large for one event; those of an earlier learner are taken back when it starts.
    if (last?.step === recorded.step) last.samples.push(...recorded.samples);
    else this.samples = [...this.samples.filter(({ step }) => step < recorded.step), recorded];
    if (this.samples.length > this.#limits.sampledSteps) this.samples.shift();
  }

  #learner(learner: LearnerStarted): void {
    const { fromStep } = learner;
    this.learners.push(this.#at(learner));
    this.#steps.truncate(fromStep);
    this.#evaluations.truncate(fromStep);
    this.evaluations = this.evaluations.filter(({ value }) => value.version <= fromStep);
    this.samples = this.samples.filter(({ step }) => step <= fromStep);
    this.phases = this.phases.filter(({ value }) => value.firstStep <= fromStep);
    for (const process of this.processes.values()) if (process.role === "learner") process.ends(this.seconds);
  }

  #state(state: RunState, message: string): void {
    [this.state, this.stateMessage] = [state, message];
    this.states.push(this.#at(state));
    const ended = state === RunState.SUCCEEDED || state === RunState.FAILED || state === RunState.STOPPED;
    if (ended) for (const process of this.processes.values()) process.ends(this.seconds);
  }

  #process(name: ProcessName | undefined): ProcessHistory {
    const key = processKey(name);
    const known = this.processes.get(key);
    if (known) return known;
    const process = new ProcessHistory(name ?? { role: "", teacher: "", instance: "" });
    this.processes.set(key, process);
    return process;
  }
}
