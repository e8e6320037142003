import { timestampMs } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../shared/base/errors.js";
import { resolveCheckpoints } from "../../shared/flow/runs/checkpoints.js";
import { type Phase, type ResolvedRun, resolveRun } from "../../shared/flow/runs/resolve.js";
import { type EvaluationFinished, type RunEvent, type StepFinished, Work } from "../../shared/gen/retort/v1/events_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Leg, Probe } from "./probe-spec.js";

/** A length of time in seconds: by the shorter of two measured steps, by their mean, by the longer one. */
export interface Spread {
  readonly low: number;
  readonly expected: number;
  readonly high: number;
}

/** What the steps of a phase are expected to take. */
export interface PhaseTimes {
  readonly name: string;
  readonly steps: number;
  /** Of one step, and of all. */
  readonly stepSeconds: Spread;
  readonly seconds: Spread;
  /** Of one step: what the learner does, on average. */
  readonly trainSeconds: number;
  readonly waitSeconds: number;
  readonly publishSeconds: number;
  /** Tokens of a completion, on average; the longest that may be sampled, where steps are on the student's own samples. */
  readonly meanTokens: number;
  readonly maxTokens: number;
  /** Of all steps, if every completion that is sampled gets as long as it may. */
  readonly longestSeconds: number;
}

/** What a process took of memory while the probe ran. */
export interface PeakMemory {
  readonly role: string;
  readonly teacher: string;
  /** Of the process that took most. */
  readonly bytes: number;
}

/** How long a run is expected to take, by a probe of it. */
export interface RunTimes {
  /** From the start to the first step: processes, models, data. */
  readonly startSeconds: number;
  /** What a teacher writes before the first step. */
  readonly writeSeconds: number;
  readonly phases: readonly PhaseTimes[];
  /** All of them. */
  readonly evaluationSeconds: number;
  readonly checkpointSeconds: number;
  readonly total: Spread;
  readonly longestSeconds: number;
  readonly peaks: readonly PeakMemory[];
}

/** Of a run that is long: how many of what it does besides steps. */
export interface Counts {
  readonly evaluations: number;
  /** Texts that a teacher writes before the first step. */
  readonly texts: number;
}

/**
 * How long a run takes, from the events of its probe: seconds of measured steps times their number, and what comes besides.
 *
 * @throws FailedPrecondition if the probe took none of the steps that were to be measured
 */
export function runTimes(spec: RunSpec, probe: Probe, events: readonly RunEvent[], { evaluations, texts }: Counts): RunTimes {
  const run = resolveRun(spec);
  const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
  const phases = run.phases.map((phase, i) => phaseTimes(phase, legsOf(probe, i), steps));
  const scale = probe.texts ? texts / probe.texts : 0;
  const evaluationSeconds = allEvaluations(run, evaluations, events);
  const began = beginnings(events);
  const startSeconds = Math.max(0, began.startSeconds - (probe.texts ? began.writeSeconds : 0));
  const writeSeconds = scale * began.writeSeconds;
  const once = startSeconds + writeSeconds + evaluationSeconds;
  const sum = (of: (phase: PhaseTimes) => number) => phases.reduce((all, phase) => all + of(phase), once);
  const expected = sum(({ seconds }) => seconds.expected);
  const checkpointSeconds = checkpointsOf(spec, evaluations, expected) * longestCheckpoint(events);
  return {
    ...{ startSeconds, writeSeconds, phases, evaluationSeconds, checkpointSeconds },
    total: {
      low: sum(({ seconds }) => seconds.low) + checkpointSeconds,
      expected: expected + checkpointSeconds,
      high: sum(({ seconds }) => seconds.high) + checkpointSeconds,
    },
    longestSeconds: sum(({ longestSeconds }) => longestSeconds) + checkpointSeconds,
    peaks: peaksOf(events),
  };
}

interface MeasuredLeg extends Leg {
  readonly steps: readonly StepFinished[];
}

const legsOf = ({ legs }: Probe, phase: number): Leg[] => legs.filter((leg) => leg.phase === phase);

function phaseTimes({ name, firstStep, lastStep, sampling }: Phase, legs: readonly Leg[], all: readonly StepFinished[]): PhaseTimes {
  const measured = legs.map((leg): MeasuredLeg => {
    const [first, last] = leg.measured;
    const steps = all.filter(({ step }) => step >= first && step <= last);
    if (steps.length === 0)
      throw new RetortError("FailedPrecondition", `the probe took no step of the phase ${name}; \`retort run\` says why`);
    return { ...leg, steps };
  });
  const over = (of: (leg: MeasuredLeg) => number) => measured.reduce((sum, leg) => sum + leg.share * of(leg), 0);
  const mean = (of: (step: StepFinished) => number) => over((leg) => meanOf(leg.steps.map(of)));
  const seconds = ({ steps }: MeasuredLeg) => steps.map((step) => step.seconds);
  const count = lastStep - firstStep + 1;
  const stepSeconds = {
    low: over((leg) => Math.min(...seconds(leg))),
    expected: mean((step) => step.seconds),
    high: over((leg) => Math.max(...seconds(leg))),
  };
  const longest = (leg: MeasuredLeg) =>
    Math.max(...seconds(leg)) * (leg.onPolicy ? Math.max(1, sampling.maxNewTokens / Math.max(1, lengthOf(leg.steps))) : 1);
  return {
    name,
    steps: count,
    stepSeconds,
    seconds: { low: count * stepSeconds.low, expected: count * stepSeconds.expected, high: count * stepSeconds.high },
    trainSeconds: mean(({ trainSeconds }) => trainSeconds),
    waitSeconds: mean(({ waitSeconds }) => waitSeconds),
    publishSeconds: mean(({ publishSeconds }) => publishSeconds),
    meanTokens: over(({ steps }) => lengthOf(steps)),
    maxTokens: measured.some(({ onPolicy }) => onPolicy) ? sampling.maxNewTokens : 0,
    longestSeconds: count * over(longest),
  };
}

const meanOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

/** Tokens of a completion of some steps, on average. */
const lengthOf = (steps: readonly StepFinished[]): number => meanOf(steps.map(({ meanLength }) => meanLength));

/** The first evaluation measures the teachers too, where they are; each one takes as long as it has rows. */
function allEvaluations({ evaluation }: ResolvedRun, count: number, events: readonly RunEvent[]): number {
  const [first, ...later] = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
  if (!evaluation || !first) return 0;
  const rows = evaluation.holdOut || evaluation.limit;
  const whole = ({ seconds, prompts }: EvaluationFinished) => seconds * Math.max(1, rows / Math.max(1, prompts));
  // What is measured last is warm.
  return whole(first) + (count - 1) * whole(later.at(-1) ?? first);
}

/** What the probe did before its first step, without its evaluation; and of that, how long its data took. */
function beginnings(events: readonly RunEvent[]): { readonly startSeconds: number; readonly writeSeconds: number } {
  const at = (kind: RunEvent["event"]["case"]) => events.find(({ event }) => event.case === kind);
  const seconds = (from: RunEvent | undefined, to: RunEvent | undefined) =>
    from?.time && to?.time ? (timestampMs(to.time) - timestampMs(from.time)) / 1000 : 0;
  const [evaluated, finished] = [at("evaluationFinished")?.event, at("stepFinished")];
  const step = finished?.event.case === "stepFinished" ? finished.event.value.seconds : 0;
  const evaluation = evaluated?.case === "evaluationFinished" ? evaluated.value.seconds : 0;
  return {
    startSeconds: Math.max(0, seconds(events[0], finished) - step - evaluation),
    writeSeconds: Math.max(0, seconds(at("learnerStarted"), at("datasetReady"))),
  };
}

/** Checkpoints of a run: at each evaluation behind the first, else at the end; and by steps and by time. */
function checkpointsOf({ checkpoints }: RunSpec, evaluations: number, seconds: number): number {
  const { everySeconds } = resolveCheckpoints(checkpoints);
  return Math.max(1, evaluations - 1) + (everySeconds ? Math.floor(seconds / everySeconds) : 0);
}

/** How long the learner has been writing at once, as far as that was long enough to be told. */
function longestCheckpoint(events: readonly RunEvent[]): number {
  const told = events.flatMap(({ event, time }) =>
    event.case === "activity" && event.value.process?.role === "learner" && time ? [{ work: event.value.work, ms: timestampMs(time) }] : [],
  );
  const lengths = told.flatMap(({ work, ms }, i) => (work === Work.CHECKPOINTING ? [((told[i + 1]?.ms ?? ms) - ms) / 1000] : []));
  return Math.max(0, ...lengths);
}

function peaksOf(events: readonly RunEvent[]): PeakMemory[] {
  const peaks = new Map<string, PeakMemory>();
  for (const { event } of events) {
    if (event.case !== "processFigures" || !event.value.process) continue;
    const { role, teacher } = event.value.process;
    const bytes = Math.max(Number(event.value.peakResidentBytes), peaks.get(`${role}/${teacher}`)?.bytes ?? 0);
    peaks.set(`${role}/${teacher}`, { role, teacher, bytes });
  }
  return [...peaks.values()];
}
