import { counted } from "../../shared/base/counted.js";
import { found } from "../../shared/base/found.js";
import type { Column, Grid } from "../plan/experiment.js";
import type { TrainedJudge } from "../run/classifier-job.js";
import { measuresOf, type Outcome } from "../run/outcome.js";
import type { AnalysedPart, Analysis, ArmFigures, JudgedOrdering } from "./analyse.js";
import type { Estimate } from "./statistics.js";

const digits = (value: number): number => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3);

/** A number as the tables print it. */
function number(value: number, format: Column["format"]): string {
  if (format === "percent") return (100 * value).toFixed(1);
  if (format === "flops") return (value / 1e9).toFixed(1);
  return value.toFixed(digits(value));
}

const units = { flops: " GFLOP", number: "", percent: " %", seconds: " s" } as const;

/** Mean ± standard error with its unit; "–" where nothing was measured. */
export function show(value: Estimate | undefined, format: Column["format"] = "number"): string {
  if (!value || Number.isNaN(value.mean)) return "–";
  const error = Number.isNaN(value.standardError) ? "" : ` ± ${number(value.standardError, format)}`;
  return `${number(value.mean, format)}${error}${units[format]}`;
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}

/** The arms' table of a part: head and rows. */
export function armTable({ part, arms }: AnalysedPart): { head: string[]; rows: string[][] } {
  return {
    head: ["", ...part.columns.map(({ label }) => label)],
    rows: arms
      .filter(({ hidden }) => !hidden)
      .map(({ name, measures }) => [name, ...part.columns.map(({ measure, format }) => show(measures[measure], format))]),
  };
}

function gridTable({ rows, columns, arm, measure, format }: Grid, arms: readonly ArmFigures[]): string {
  const cell = (row: string, column: string) => show(arms.find(({ name }) => name === arm(row, column))?.measures[measure], format);
  return table(
    ["", ...columns],
    rows.map((row) => [row, ...columns.map((column) => cell(row, column))]),
  );
}

/** A difference with its sign; that of two percentages is in points. */
const signed = (value: Estimate, format: Column["format"]): string =>
  `${value.mean > 0 ? "+" : ""}${show(value, format).replace(/%$/, "points")}`;

/** One paragraph: what was meant to show, and whether the numbers show it. */
export function paragraph({ id, says, verdict, contrasts }: JudgedOrdering): string {
  const groups = [
    ["shown", "holds beyond the noise"],
    ["leans", "leans that way within the noise"],
    ["absent", "does not show"],
    ["reversed", "is the other way round"],
  ] as const;
  const oneMeasure = new Set(contrasts.map(({ measure }) => measure)).size === 1;
  const parts = groups.flatMap(([kind, text]) => {
    const list = contrasts
      .filter((one) => one.verdict === kind)
      .map((one) => `${one.says} (${oneMeasure ? "" : `${one.measure} `}${signed(one.estimate, one.format)})`);
    return list.length ? [`It ${text} for ${list.join("; ")}.`] : [];
  });
  return `${id}, ${says}: **${verdict}**. ${parts.length ? parts.join(" ") : "No arm of it was run."}`;
}

/** The models that a part starts from, with what they score. */
export interface Start {
  readonly teacher: Outcome;
  readonly student: Outcome;
  readonly classifier?: TrainedJudge;
}

/** An experiment's report as Markdown; figures lie beside it. */
export function reportMarkdown({ experiment, parts }: Analysis, starts: readonly Start[], seeds: number, command: string): string {
  const sections = parts.map((analysed, i) => partMarkdown(analysed, found(starts[i], `the start of ${analysed.part.recipe.name}`)));
  return [
    `# ${experiment.title}`,
    experiment.about,
    `Mean ± standard error over ${counted(seeds, "seed")} of distillation, all from the same teacher and SFT student. Made by \`${command}\`.`,
    ...sections,
    "",
  ].join("\n\n");
}

function partMarkdown(analysed: AnalysedPart, { teacher, student, classifier }: Start): string {
  const { part, arms, orderings } = analysed;
  const { head, rows } = armTable(analysed);
  const score = (outcome: Outcome) => {
    const { greedy = Number.NaN, sampled = Number.NaN } = measuresOf(outcome, part.recipe.judge);
    return `${(100 * greedy).toFixed(1)} % greedy and ${(100 * sampled).toFixed(1)} % at temperature 1`;
  };
  const judge = classifier
    ? ` Classifier: right on ${(100 * classifier.accuracy).toFixed(1)} % of ${classifier.heldOut} completions of held-out prompts, half of them mistaken.`
    : "";
  return [
    `## ${part.recipe.name}`,
    `Teacher: ${score(teacher)}. SFT student: ${score(student)}.${judge} ${part.recipe.sizes}`,
    ...orderings.map(paragraph),
    ...(part.note ? [`Note on the full tables (five seeds): ${part.note}`] : []),
    table(head, rows),
    ...(part.grids ?? []).flatMap((grid) => [`${grid.title}:`, gridTable(grid, arms)]),
    ...part.figures.map(({ name, title }) => `![${title}](${part.recipe.name}-${name}.svg)`),
  ].join("\n\n");
}

/** All experiments: an overview of the orderings with their verdicts, then every report. Figures lie in a folder per experiment. */
export function allMarkdown(reports: readonly { readonly analysis: Analysis; readonly markdown: string }[]): string {
  const verdicts = reports.flatMap(({ analysis: { experiment, parts } }) =>
    parts.flatMap(({ part, orderings }) =>
      orderings.map(({ id, says, verdict }) => [experiment.name, part.recipe.name, `${id}: ${says}`, verdict]),
    ),
  );
  const sections = reports.map(({ analysis, markdown }) =>
    markdown.replace(/^(#+ )/gm, "#$1").replace(/\]\(([^)]+\.svg)\)/g, `](${analysis.experiment.name}/$1)`),
  );
  return [`# The paper's experiments`, table(["experiment", "task", "ordering", "shown here"], verdicts), ...sections].join("\n\n");
}
