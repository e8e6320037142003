import { type Problem, RetortError } from "../../base/errors.js";
import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { closedValue } from "../runs/closed-value.js";
import { referencesNeededBy, resolveEvaluation } from "../runs/evaluation.js";
import { presets } from "../runs/presets.js";
import { needsReward, type ResolvedRun } from "../runs/resolve.js";
import { readsReference } from "../runs/rewards.js";
import type { Row } from "./row.js";

type JudgedRow = Partial<Pick<Row, "completion" | "reference" | "teacher" | "teacherPrompt">>;

/** What a run needs of a dataset's rows, beside a prompt in each. */
export interface RowNeeds {
  readonly path: string;
  readonly field: "data" | "evaluation";
  /** Teachers that a row may name. */
  readonly teachers: readonly string[];
  /** The setting that needs completions, or references, in a sentence's words; undefined if none does. */
  readonly completions: string | undefined;
  readonly references: string | undefined;
  /** Likewise, prompts of the teacher's own; undefined also where a template or a system's message makes them. */
  readonly teacherPrompts: string | undefined;
}

/** What a run's training rows must have. */
export function trainingNeeds(
  { data, rewards, teachers: specs, phases: given }: Pick<RunSpec, "data" | "rewards" | "teachers" | "phases">,
  { phases, teachers }: ResolvedRun,
): RowNeeds {
  const onData = phases.findIndex(({ lambda, lambdaEnd }) => Math.min(lambda, lambdaEnd) < 1);
  const reward = phases.some(({ objective }) => needsReward(objective)) && rewards.find(readsReference);
  return {
    path: data?.path ?? "",
    field: "data",
    teachers,
    completions:
      onData >= 0 && !data?.generate ? `phases[${onData}] takes steps on the dataset's completions (lambda is below 1)` : undefined,
    teacherPrompts: specs.some(({ promptTemplate, system }) => promptTemplate || system) ? undefined : ownPromptPhase(given),
    references: reward ? `the reward ${reward.kind} reads references` : undefined,
  };
}

/** The phase whose preset has the teacher read another prompt, in a sentence's words. */
function ownPromptPhase(phases: RunSpec["phases"]): string | undefined {
  const at = phases.findIndex(({ preset }) => preset && presets[closedValue("PhaseSpec.preset", preset)].ownPrompt);
  return at < 0 ? undefined : `phases[${at}] is ${phases[at]?.preset}, in which the teacher reads another prompt than the student`;
}

/** What a run's held-out rows must have; undefined if nothing is evaluated. */
export function heldOutNeeds({ evaluation }: RunSpec, { teachers }: ResolvedRun): RowNeeds | undefined {
  const settings = resolveEvaluation(evaluation);
  if (!settings) return undefined;
  const path = settings.path || "the held-out part of the dataset";
  return {
    path,
    field: "evaluation",
    teachers,
    completions: undefined,
    teacherPrompts: undefined,
    references: referencesNeededBy(settings),
  };
}

/**
 * What is wrong with rows for a run.
 *
 * @param columns the columns that the dataset has, for the messages
 * @param whole false if these are only its first rows, which cannot say that something is nowhere
 */
export function rowProblems(rows: readonly JudgedRow[], needs: RowNeeds, columns: readonly string[], whole = true): Problem[] {
  const { path, field, teachers, completions, references, teacherPrompts } = needs;
  const problems: Problem[] = [];
  const stray = rows.findIndex(({ teacher }) => teacher && !teachers.includes(teacher));
  if (stray >= 0)
    problems.push({
      fieldPath: `${field}.path`,
      description: `row ${stray + 1} of ${path} names the teacher "${rows[stray]!.teacher}"; the run has: ${teachers.join(", ") || "none"}. Name it under teachers, or leave the column out with data.teacherField`,
    });
  const missing = (what: "completion" | "reference", setting: string, wayOut: string) =>
    problems.push({
      fieldPath: `data.${what}Field`,
      description: `${setting}, and no row of ${path} has a ${what}; it has the columns ${columns.join(", ")}: name the one with data.${what}Field, or ${wayOut}`,
    });
  if (!whole) return problems;
  if (teacherPrompts && rows.every(({ teacherPrompt }) => teacherPrompt === undefined))
    problems.push({
      fieldPath: "teachers[0].promptTemplate",
      description: `${teacherPrompts}, and no row of ${path} has a prompt for it: give the template, teachers[0].system, or name the column with data.teacherPromptField`,
    });
  if (completions && rows.every(({ completion }) => !completion))
    missing("completion", completions, "let a teacher write them (data.generate)");
  if (references && rows.every(({ reference }) => !reference)) missing("reference", references, "leave that setting out");
  return problems;
}

/** @throws InvalidArgument that lists what {@link rowProblems} finds */
export function checkRows(rows: readonly JudgedRow[], needs: RowNeeds, columns: readonly string[]): void {
  const problems = rowProblems(rows, needs, columns);
  if (problems.length) throw RetortError.ofProblems("the dataset", problems);
}
