import { clone, create } from "@bufbuild/protobuf";
import { type Phase, resolveRun } from "../../shared/flow/runs/resolve.js";
import {
  CheckpointSpecSchema,
  type PhaseSpec,
  PhaseSpecSchema,
  type RunSpec,
  RunSpecSchema,
  TrackingSpecSchema,
} from "../../shared/gen/retort/v1/run_spec_pb.js";

/** Steps of one phase with texts of one kind: what a probe measures of a run. */
export interface Leg {
  /** Which of the run's phases, from 0. */
  readonly phase: number;
  /** Whether the student writes, or the dataset's texts are used. */
  readonly onPolicy: boolean;
  /** How many of the phase's steps are like these, on average: `lambda` says it. */
  readonly share: number;
  /** The probe's own steps that are measured. */
  readonly measured: readonly [first: number, last: number];
}

/** A short run that is as another one, and what of it is measured. */
export interface Probe {
  readonly spec: RunSpec;
  readonly legs: readonly Leg[];
  /** Texts that a teacher writes before the first step; 0 where it writes none. */
  readonly texts: number;
}

/** Steps that are measured of each kind. */
const measuredSteps = 2;

/** Fewest rows of an evaluation, and of what a teacher writes. */
const fewestRows = 32;

/**
 * A short run with the models, data and settings of another: of each phase, and of steps on the student's samples and on the dataset's
 * texts apart, some to warm up and two to measure. Students run as far ahead as they would: as many steps before and behind the
 * measured ones. What is evaluated, or written by a teacher, is the same on fewer rows.
 *
 * @param given a spec that can run
 * @param output directory for its trained student
 */
export function probeOf(given: RunSpec, output: string): Probe {
  const spec = clone(RunSpecSchema, given);
  const run = resolveRun(given);
  const { maxStaleness } = run;
  const kinds = run.phases.flatMap((phase, i) => sharesOf(phase).map((kind) => ({ ...kind, phase: i })));
  const legs: Leg[] = [];
  const phases: PhaseSpec[] = [];
  let step = 0;
  for (const [i, { phase, onPolicy, share }] of kinds.entries()) {
    const first = step + maxStaleness + 2;
    const last = first + measuredSteps - 1;
    legs.push({ phase, onPolicy, share, measured: [first, last] });
    // Behind the last leg no steps would be under way any more.
    const end = last + (i === kinds.length - 1 ? maxStaleness : 0);
    const { lambdaEnd: _, ...same } = clone(PhaseSpecSchema, given.phases[phase] ?? create(PhaseSpecSchema));
    phases.push(create(PhaseSpecSchema, { ...same, steps: end - step, lambda: onPolicy ? 1 : 0 }));
    step = end;
  }
  const rows = Math.max(fewestRows, ...run.phases.map(({ batchSize }) => batchSize));
  Object.assign(spec, { name: "probe", output, phases });
  spec.checkpoints = create(CheckpointSpecSchema, { keep: 1, everySeconds: 0 });
  spec.tracking = create(TrackingSpecSchema, { samples: 0, examples: 0, tensorboard: false, jsonl: false });
  return { spec, legs, texts: shorten(spec, rows) };
}

/** The kinds of steps that a phase has, and how many of its steps are of each. */
function sharesOf({ lambda, lambdaEnd }: Phase): { readonly onPolicy: boolean; readonly share: number }[] {
  // It goes linearly from the one to the other.
  const share = (lambda + lambdaEnd) / 2;
  return [
    { onPolicy: true, share },
    { onPolicy: false, share: 1 - share },
  ].filter((kind) => kind.share > 0);
}

/** Takes rows off what is evaluated and written. Returns how many texts a teacher writes. */
function shorten({ data, evaluation }: RunSpec, rows: number): number {
  const held = evaluation ? Math.min(rows, evaluation.holdOut) : 0;
  if (evaluation) {
    Object.assign(evaluation, { everySteps: 0, keepBest: "", holdOut: held });
    if (evaluation.path) evaluation.limit = Math.min(rows, evaluation.limit || rows);
  }
  if (!data?.generate) return 0;
  const texts = rows + held;
  if (data.path) data.limit = Math.min(texts, data.limit || texts);
  else data.generate.texts = Math.min(texts, data.generate.texts);
  return data.path ? data.limit : data.generate.texts;
}
