import { readFileSync } from "node:fs";
import type { Experiment, Part } from "../../../services/reproduce/plan/experiment.js";
import { experiments } from "../../../services/reproduce/experiments/table.js";
import type { AnalysedPart } from "../../../services/reproduce/report/analyse.js";
import type { Charts } from "../../../services/reproduce/report/charts.js";
import type { Estimate } from "../../../services/reproduce/report/statistics.js";

/** The figures that documents show: file, experiment, recipe of the part, name of the figure. */
export const shownFigures = [
  ["mathematics", "mathematics", "grid-nav", "gain"],
  ["data-efficiency", "data-efficiency", "grid-nav", "share"],
  ["rl", "rl", "names", "trade"],
] as const;

/** Seeds of the tables. */
const seeds = 5;

/** The lines of a section, without those of its neighbours. */
function section(lines: readonly string[], heading: string): readonly string[] {
  const [, marks = ""] = /^(#+) /.exec(heading) ?? [];
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`there is no section "${heading}"`);
  const rest = lines.slice(from + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line) && line.indexOf(" ") <= marks.length);
  return end < 0 ? rest : rest.slice(0, end);
}

const cellsOf = (line: string): string[] => line.split("|").slice(1, -1).map((cell) => cell.trim());

/** Reads `27.9 ± 1.1 %`. */
function estimateOf(cell: string): Estimate {
  const [, mean, error = "NaN", percent] = /^(-?[\d.]+)(?: ± ([\d.]+))?( %)?/.exec(cell) ?? [];
  const unit = percent ? 100 : 1;
  return { mean: Number(mean) / unit, standardError: Number(error) / unit, count: seeds };
}

/** A part's numbers as the table of RESULTS.md has them. */
function analysed({ title }: Experiment, part: Part, markdown: string): AnalysedPart {
  const lines = section(section(markdown.split("\n"), `## ${title}`), `### ${part.recipe.name}`);
  const from = lines.findIndex((line) => line.startsWith("| "));
  const table = lines.slice(from, lines.indexOf("", from)).map(cellsOf);
  const [head = [], , ...rows] = table;
  const arms = rows.map(([name = "", ...cells]) => ({
    name,
    hidden: false,
    measures: Object.fromEntries(
      part.columns.flatMap(({ measure, label }) => {
        const cell = cells[head.indexOf(label) - 1];
        return cell === undefined ? [] : [[measure, estimateOf(cell)]];
      }),
    ),
  }));
  return { part, arms, orderings: [] };
}

/** The figures of documents as SVG, by the names of their files, drawn of the tables in RESULTS.md. */
export function drawShown(charts: Charts): Map<string, string> {
  const markdown = readFileSync("test/bench/RESULTS.md", "utf8");
  return new Map(
    shownFigures.map(([file, experimentName, recipe, figureName]) => {
      const experiment = experiments[experimentName];
      const part = experiment?.parts.find((one) => one.recipe.name === recipe);
      const figure = part?.figures.find(({ name }) => name === figureName);
      if (!experiment || !part || !figure) throw new Error(`there is no figure ${figureName} of ${experimentName}, ${recipe}`);
      return [file, charts.drawFigure(figure, analysed(experiment, part, markdown))];
    }),
  );
}
