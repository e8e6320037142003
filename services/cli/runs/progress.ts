import { SingleBar } from "cli-progress";
import pc from "picocolors";
import { precisionWords } from "../../shared/flow/runs/events.js";
import type {
  AuditFinished,
  DatasetReady,
  EvaluationFinished,
  LearnerStarted,
  RunEvent,
  SampledFigures,
  StepFinished,
  Waiting,
} from "../../shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";

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
    failed ? `${failed} completions failed: ${failure}` : "",
  ];
  return `version ${version}: ${parts.filter(Boolean).join(", ")}`;
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
  const figure = (name: string, x: number | undefined, show = digits) => (x === undefined ? "" : `${name} ${show(x)}`);
  const parts = [
    figure("", quality, share).trim(),
    ...passAt.map(({ k, value }) => `pass@${k} ${share(value)}`),
    figure("reward", reward) + terms(rewardComponents),
    figure("KL(teacher‖student)", forwardKl),
    figure("KL(student‖teacher)", reverseKl),
    figure("teacher NLL", teacherNll),
    figure("Self-BLEU", selfBleu),
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
    `${steps} steps, ${samples} samples: ${trained} trained`,
    failed ? `${failed} with another recorded outcome` : "",
    repeatedSteps ? `${repeatedSteps} steps trained again` : "",
    learners > 1 ? `${learners} learners` : "",
  ];
  const figures = parts.filter(Boolean).join(", ");
  if (holds) return [`every sample is accounted for: ${figures}`];
  const more = problems.length > shownProblems ? [`  … and ${problems.length - shownProblems} more`] : [];
  return [`the account does not hold: ${figures}`, ...problems.slice(0, shownProblems).map((problem) => `  ${problem}`), ...more];
}

/** Shows a run's events on a terminal: a bar on standard error, and lines for what matters. Without a terminal, lines only. */
export class ProgressView {
  readonly #bar: SingleBar | undefined;
  readonly #out: NodeJS.WriteStream;
  #started = false;
  #lastLine = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    if (out.isTTY)
      this.#bar = new SingleBar({
        stream: out,
        format: `{bar} {value}/{total} ETA {eta_formatted} {line}`,
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
        etaBuffer: 20,
      });
  }

  show({ event }: RunEvent): void {
    switch (event.case) {
      case "stepFinished":
        this.#step(event.value);
        break;
      case "evaluationFinished":
        this.#line(pc.cyan(evaluationLine(event.value)));
        break;
      case "phaseStarted":
        this.#line(pc.bold(`phase ${event.value.name}: steps ${event.value.firstStep}–${event.value.lastStep}`));
        break;
      case "datasetReady":
        this.#line(
          `dataset: ${event.value.rows} rows${completedWords(event.value)}${Object.entries(event.value.dropped)
            .map(([reason, count]) => `, ${count} dropped (${reason})`)
            .join("")}`,
        );
        break;
      case "checkpointSaved":
        this.#line(pc.dim(`checkpoint at step ${event.value.step}: ${event.value.path}`));
        break;
      case "bestCheckpoint": {
        const { step, metric, value, path } = event.value;
        this.#line(pc.dim(`best ${metric} so far: ${digits(value, 4)} at step ${step}: ${path}`));
        break;
      }
      case "taskFailed":
        this.#line(pc.yellow(`a prompt failed at step ${event.value.key?.step}: ${event.value.reason}`));
        break;
      case "warning":
        this.#line(event.value.alarm ? pc.red(`alarm: ${event.value.message}`) : pc.yellow(event.value.message));
        break;
      case "learnerStarted":
        this.#line((event.value.lostAtStep === undefined ? pc.dim : pc.yellow)(learnerLine(event.value)));
        break;
      case "modelOpened": {
        const { role, teacher, dtype, precision } = event.value;
        this.#line(pc.dim(`${role}${teacher ? ` ${teacher}` : ""} computes in ${precisionWords(dtype, precision)}`));
        break;
      }
      case "waiting":
        this.#line(pc.yellow(waitingLine(event.value)));
        break;
      case "auditFinished":
        for (const line of auditLines(event.value)) this.#line((event.value.holds ? pc.dim : pc.red)(line));
        break;
      case "stateChanged": {
        const { state, message } = event.value;
        const text = `run ${RunState[state].toLowerCase()}${message ? `: ${message}` : ""}`;
        this.#line(state === RunState.FAILED ? pc.red(text) : pc.green(text));
      }
    }
  }

  close(): void {
    this.#bar?.stop();
  }

  #step(step: StepFinished): void {
    if (!this.#bar) {
      // Without a terminal a line every two seconds is enough.
      if (Date.now() - this.#lastLine < 2000 && step.step !== step.totalSteps) return;
      this.#lastLine = Date.now();
      this.#out.write(`step ${step.step}/${step.totalSteps} ${stepLine(step)}\n`);
      return;
    }
    if (this.#started) this.#bar.update(step.step, { line: stepLine(step) });
    else this.#bar.start(step.totalSteps, step.step, { line: stepLine(step) });
    this.#started = true;
  }

  #line(text: string): void {
    if (this.#bar && this.#started) {
      this.#bar.stop();
      this.#started = false;
    }
    this.#out.write(`${text}\n`);
  }
}
