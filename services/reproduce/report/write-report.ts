import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Analysis } from "./analyse.js";
import type { Charts } from "./charts.js";
import { reportMarkdown, type Start } from "./markdown.js";

/** What came of an experiment. */
export interface Report {
  readonly analysis: Analysis;
  readonly markdown: string;
  /** The numbers, as result.json has them. */
  readonly result: unknown;
}

/** What a report is written from. */
export interface ReportContent {
  readonly analysis: Analysis;
  /** For each part, the models that it starts from. */
  readonly models: readonly Start[];
  readonly seeds: number;
  /** The command that makes the same again. */
  readonly command: string;
}

/** Writes report.md, result.json and the figures as SVG and PNG into a directory, which is made. */
export async function writeReport(directory: string, charts: Charts, content: ReportContent): Promise<Report> {
  const { analysis, models, seeds, command } = content;
  await mkdir(directory, { recursive: true });
  const markdown = reportMarkdown(analysis, models, seeds, command);
  await writeFile(join(directory, "report.md"), markdown);
  const result = resultJson(content);
  await writeFile(join(directory, "result.json"), `${JSON.stringify(result, null, 1)}\n`);
  for (const part of analysis.parts)
    for (const figure of part.part.figures) {
      const svg = charts.drawFigure(figure, part);
      const path = join(directory, `${part.part.recipe.name}-${figure.name}`);
      await writeFile(`${path}.svg`, svg);
      await writeFile(`${path}.png`, charts.toPng(svg));
    }
  return { analysis, markdown, result };
}

function resultJson({ analysis: { experiment, parts }, command, seeds }: ReportContent) {
  const { name, title } = experiment;
  return {
    ...{ name, title, command, seeds },
    parts: parts.map(({ part, arms, orderings }) => ({ task: part.recipe.name, arms, orderings })),
  };
}
