import { found } from "../../shared/base/found.js";
import type { Column, Experiment, Ordering, Part } from "../plan/experiment.js";
import type { ArmJobs, RunJob } from "../plan/jobs.js";
import { measuresOf, type Outcome } from "../run/outcome.js";
import { type Estimate, estimate, overall, type Verdict, verdictOf } from "./statistics.js";

/** A contrast's estimate over the seeds, and the verdict on it. */
export interface JudgedContrast {
  readonly says: string;
  /** What was compared, as the table's head calls it, and its unit. */
  readonly measure: string;
  readonly format: Column["format"];
  readonly estimate: Estimate;
  readonly verdict: Verdict;
}

/** What the numbers say of an ordering. */
export interface JudgedOrdering {
  readonly id: string;
  readonly says: string;
  readonly verdict: ReturnType<typeof overall>;
  readonly contrasts: readonly JudgedContrast[];
}

/** An arm's measures over the seeds. */
export interface ArmFigures {
  readonly name: string;
  readonly hidden: boolean;
  readonly measures: Readonly<Record<string, Estimate>>;
}

/** A part with its numbers. */
export interface AnalysedPart {
  readonly part: Part;
  readonly arms: readonly ArmFigures[];
  readonly orderings: readonly JudgedOrdering[];
}

/** Everything that an experiment gave. */
export interface Analysis {
  readonly experiment: Experiment;
  readonly parts: readonly AnalysedPart[];
}

/** The numbers of an experiment from the outcomes of its runs. */
export function analyse(experiment: Experiment, arms: readonly ArmJobs[], outcomes: ReadonlyMap<string, Outcome>): Analysis {
  const outcomeOf = ({ digest, label }: RunJob) => found(outcomes.get(digest), `the outcome of ${label}`);
  const parts = experiment.parts.map((part) => {
    const own = arms.filter((one) => one.part === part);
    const bySeed = new Map(
      own.map(({ arm, jobs }) => [arm.name, jobs.map((job) => measuresOf(outcomeOf(job), part.recipe.judge))] as const),
    );
    const seeds = own[0]?.jobs.length ?? 0;
    return {
      part,
      arms: own.map(({ arm }) => ({ name: arm.name, hidden: arm.hidden ?? false, measures: estimates(bySeed.get(arm.name) ?? []) })),
      orderings: part.orderings.map((ordering) => judge(ordering, part.columns, bySeed, seeds)),
    };
  });
  return { experiment, parts };
}

function estimates(seeds: readonly Readonly<Record<string, number>>[]): Record<string, Estimate> {
  const names = new Set(seeds.flatMap((measures) => Object.keys(measures)));
  return Object.fromEntries([...names].map((name) => [name, estimate(seeds.map((measures) => measures[name] ?? Number.NaN))]));
}

/** Judges an ordering; contrasts whose arms were left out are unmeasured and do not count. */
function judge(
  ordering: Ordering,
  columns: readonly Column[],
  bySeed: ReadonlyMap<string, readonly Readonly<Record<string, number>>[]>,
  seeds: number,
): JudgedOrdering {
  const counted = ordering.contrasts.filter(({ between = [] }) => !between.some((arm) => bySeed.has(arm)));
  const contrasts = counted.map(({ says, measure, value }) => {
    const perSeed = Array.from({ length: seeds }, (_, i) => value((arm, name) => bySeed.get(arm)?.[i]?.[name] ?? Number.NaN));
    const result = estimate(perSeed);
    const { label = measure, format } = columns.find((column) => column.measure === measure) ?? {};
    return { says, measure: label, format, estimate: result, verdict: verdictOf(result) };
  });
  const measured = contrasts.filter(({ verdict }) => verdict !== "unmeasured");
  return { id: ordering.id, says: ordering.says, verdict: overall(measured.map(({ verdict }) => verdict)), contrasts: measured };
}
