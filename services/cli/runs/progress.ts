import { counted } from "../../shared/base/counted.js";
import { precisionWords } from "../../shared/flow/runs/events.js";
import {
  type Activity,
  type AuditFinished,
  type DatasetReady,
  type EvaluationFinished,
  type LearnerStarted,
  type RunEvent,
  type SampledFigures,
  type StepFinished,
  type TeacherEvaluation,
  type Waiting,
  Work,
} from "../../shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { barText } from "../terminal/bar.js";
import { Foot } from "../terminal/foot.js";
import { Pace } from "../terminal/pace.js";
import { type Out, type Style, styleFor } from "../terminal/style.js";

const digits = (x: number, n = 3): string => (Number.isFinite(x) ? x.toFixed(n) : String(x));

/** One line about a finished step. */
export function stepLine(step: StepFinished): string {
  const rate = step.seconds > 0 ? step.completionTokens / step.seconds : 0;
  const parts = [
    `${step.phase} divergence ${digits(step.divergence, 4)}`,
    step.reward === undefined ? "" : `reward ${digits(step.reward)}`,
    `${rate.toFixed(0)} tok/s`,
    `stale ${digits(step.stalenessMean, 1)}`,
    `in flight ${step.tasksInFlight}`,
    step.cacheLookups ? `cached ${step.cacheHits}/${step.cacheLookups}` : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

const share = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** A few words about an evaluation: what was measured, in order of what people ask first. */
export function evaluationLine(evaluation: EvaluationFinished): string {
  const { version, metric, greedy, greedyReward, greedyRewardComponents, samples, failed, failure } = evaluation;
  const parts = [
    greedy === undefined ? "" : `greedy ${metric} ${share(greedy)}`,
    greedyReward === undefined ? "" : `greedy reward ${digits(greedyReward)}${terms(greedyRewardComponents)}`,
    ...samples.map(sampledWords),
    ...evaluation.teachers.map(teacherWords),
    failed ? `${failed} completions failed: ${failure}` : "",
  ];
  return `version ${version}: ${parts.filter(Boolean).join(", ")}`;
}

/** What a teacher's own prompts came to. */
function teacherWords({ name, greedy, forwardKl, recovered, recoveredReward }: TeacherEvaluation): string {
  const parts = [
    greedy === undefined ? "" : `greedy ${share(greedy)}`,
    forwardKl === undefined ? "" : `KL(teacher‖student) ${digits(forwardKl)}`,
    recovered === undefined ? "" : `headroom recovered ${share(recovered)}`,
    recoveredReward === undefined ? "" : `of the reward's ${share(recoveredReward)}`,
  ];
  return `${name}: ${parts.filter(Boolean).join(", ")}`;
}

const completedWords = ({ rows, completed }: DatasetReady): string =>
  completed > 0 && completed < rows ? `, ${completed} with a completion` : "";

/** The terms of a reward, where it has several. */
function terms(components: Readonly<Record<string, number>>): string {
  const all = Object.entries(components);
  return all.length > 1 ? ` (${all.map(([kind, value]) => `${kind} ${digits(value)}`).join(", ")})` : "";
}

function sampledWords(sampled: SampledFigures): string {
  const { temperature, quality, passAt, reward, rewardComponents, forwardKl, reverseKl, teacherNll, selfBleu } = sampled;
  const { confidence, calibrationError } = sampled;
  const figure = (name: string, x: number | undefined, show = digits) => (x === undefined ? "" : `${name} ${show(x)}`);
  const parts = [
    figure("", quality, share).trim(),
    ...passAt.map(({ k, value }) => `pass@${k} ${share(value)}`),
    figure("reward", reward) + terms(rewardComponents),
    figure("KL(teacher‖student)", forwardKl),
    figure("KL(student‖teacher)", reverseKl),
    figure("teacher NLL", teacherNll),
    figure("Self-BLEU", selfBleu),
    figure("confidence", confidence, share),
    figure("calibration error", calibrationError),
  ];
  return `at temperature ${temperature} ${parts.filter(Boolean).join(", ")}`;
}

/** A few words about a learner that takes a run over, and about the one before it. */
export function learnerLine({ fence, fromStep, lostAtStep, message }: LearnerStarted): string {
  const from = fromStep === 0 ? "begins at step 0" : `goes on from the checkpoint of step ${fromStep}`;
  if (lostAtStep === undefined) return `learner ${fence} ${from}${message ? ` (${message})` : ""}`;
  return `learner ${fence - 1n} was lost at step ${lostAtStep}${message ? ` (${message})` : ""}; learner ${fence} ${from}`;
}

/** A few words about something that takes longer than usual. */
export function waitingLine({ waiter, waitsFor, seconds, deadlineSeconds }: Waiting): string {
  const limit = deadlineSeconds > 0 ? `, at most ${Math.round(deadlineSeconds)} s` : "";
  return `${waiter} has waited ${Math.round(seconds)} s for ${waitsFor}${limit}`;
}

/** Problems of an account that are shown. */
const shownProblems = 5;

/** The account of a run: one line, and the first problems if it does not hold. */
export function auditLines(audit: AuditFinished): string[] {
  const { holds, steps, samples, trained, failed, repeatedSteps, learners, problems } = audit;
  const parts = [
    `${counted(steps, "step")}, ${counted(samples, "sample")}: ${trained} trained`,
    failed ? `${failed} with another recorded outcome` : "",
    repeatedSteps ? `${counted(repeatedSteps, "step")} trained again` : "",
    learners > 1 ? `${learners} learners` : "",
  ];
  const figures = parts.filter(Boolean).join(", ");
  if (holds) return [`every sample is accounted for: ${figures}`];
  const more = problems.length > shownProblems ? [`  … and ${problems.length - shownProblems} more`] : [];
  return [`the account does not hold: ${figures}`, ...problems.slice(0, shownProblems).map((problem) => `  ${problem}`), ...more];
}

/** Shows a run's events on a terminal: a bar on standard error, and lines for what matters. Without a terminal, lines only. */
export class ProgressView {
  readonly #out: Out;
  readonly #foot: Foot;
  readonly #style: Style;
  readonly #pace = new Pace();
  #evaluationPace = new Pace();
  /** Seconds that the steps took together: how long a run takes doesn't depend on when it is watched. */
  #seconds = 0;
  #stepLine = "";
  #lastLine = 0;

  constructor(out: Out) {
    this.#out = out;
    this.#foot = new Foot(out);
    this.#style = styleFor(out);
  }

  show({ event, time }: RunEvent): void {
    switch (event.case) {
      case "stepFinished":
        this.#step(event.value);
        break;
      case "activity":
        this.#activity(event.value, time);
        break;
      case "evaluationFinished":
        this.#line(this.#style.cyan(evaluationLine(event.value)));
        break;
      case "phaseStarted":
        this.#line(this.#style.bold(`phase ${event.value.name}: steps ${event.value.firstStep}–${event.value.lastStep}`));
        break;
      case "datasetReady":
        this.#line(
          `dataset: ${event.value.rows} rows${completedWords(event.value)}${Object.entries(event.value.dropped)
            .map(([reason, count]) => `, ${count} dropped (${reason})`)
            .join("")}`,
        );
        break;
      case "checkpointSaved":
        this.#line(this.#style.dim(`checkpoint at step ${event.value.step}: ${event.value.path}`));
        break;
      case "bestCheckpoint": {
        const { step, metric, value, path } = event.value;
        this.#line(this.#style.dim(`best ${metric} so far: ${digits(value, 4)} at step ${step}: ${path}`));
        break;
      }
      case "taskFailed":
        this.#line(this.#style.yellow(`a prompt failed at step ${event.value.key?.step}: ${event.value.reason}`));
        break;
      case "warning":
        this.#line(event.value.alarm ? this.#style.red(`alarm: ${event.value.message}`) : this.#style.yellow(event.value.message));
        break;
      case "learnerStarted":
        this.#line((event.value.lostAtStep === undefined ? this.#style.dim : this.#style.yellow)(learnerLine(event.value)));
        break;
      case "modelOpened": {
        const { role, teacher, dtype, precision } = event.value;
        this.#line(this.#style.dim(`${role}${teacher ? ` ${teacher}` : ""} computes in ${precisionWords(dtype, precision)}`));
        break;
      }
      case "waiting":
        this.#line(this.#style.yellow(waitingLine(event.value)));
        break;
      case "auditFinished":
        for (const line of auditLines(event.value)) this.#line((event.value.holds ? this.#style.dim : this.#style.red)(line));
        break;
      case "stateChanged": {
        const { state, message } = event.value;
        const text = `run ${RunState[state].toLowerCase()}${message ? `: ${message}` : ""}`;
        this.#line(state === RunState.FAILED ? this.#style.red(text) : this.#style.green(text));
      }
    }
  }

  /** Writes a line that stays. */
  say(text: string): void {
    this.#foot.print(this.#style.yellow(text));
  }

  close(): void {
    this.#foot.clear();
  }

  #step(step: StepFinished): void {
    const { step: done, totalSteps, seconds } = step;
    this.#seconds += seconds;
    this.#pace.mark(done, this.#seconds);
    if (this.#foot.isLive) {
      this.#stepLine = `${barText(done, totalSteps, this.#pace.left(totalSteps), this.#out)} · ${stepLine(step)}`;
      this.#foot.show(this.#stepLine);
      return;
    }
    // Without a terminal a line every two seconds is enough.
    if (Date.now() - this.#lastLine < 2000 && done !== totalSteps) return;
    this.#lastLine = Date.now();
    this.#line(`step ${done}/${totalSteps} ${stepLine(step)}`);
  }

  /** An evaluation has a bar, in the place of the steps'. */
  #activity({ process, work, message, ...counts }: Activity, time: RunEvent["time"]): void {
    if (process?.role !== "learner" || !this.#foot.isLive) return;
    const [done, total] = [Number(counts.done), Number(counts.total)];
    if (work !== Work.EVALUATING || total === 0) {
      this.#evaluationPace = new Pace();
      this.#foot.show(this.#stepLine);
      return;
    }
    // As with steps, the event's time counts, not that at which it is read.
    this.#evaluationPace.mark(done, Number(time?.seconds ?? 0) + (time?.nanos ?? 0) / 1e9);
    this.#foot.show(`evaluating ${message} ${barText(done, total, this.#evaluationPace.left(total), this.#out)}`);
  }

  #line(text: string): void {
    this.#foot.print(text);
  }
}
