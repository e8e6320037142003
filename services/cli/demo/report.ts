import type * as echarts from "echarts";
import { found } from "../../shared/base/found.js";
import type { Evaluation, Sample } from "../models/evaluate-model.js";
import type { RunHistory } from "../runs/runs.js";

/** One line of the demo's comparison. */
export interface Contender {
  readonly name: string;
  /** What it was given to learn from. */
  readonly data: string;
  readonly evaluation: Evaluation;
  readonly history?: RunHistory;
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);
const percent = (x: number | undefined): string => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);
const nats = (x: number | undefined): string => (x === undefined ? "–" : x.toFixed(3));

/** The head of the comparison's table. */
export const tableHead = ["", "learns from", "greedy exact match", "exact match at T=1", "KL(teacher‖student)", "KL(student‖teacher)"];
/** A row of that table: name, what it learns from, greedy, temperature 1, KL both ways. */
export const tableRow = ({ name, data, evaluation }: Contender): string[] => [
  name,
  data,
  percent(evaluation.greedy),
  percent(evaluation.sampled),
  nats(evaluation.forwardKl),
  nats(evaluation.reverseKl),
];

/** The chart library, which the demo alone loads. */
export type Charts = Pick<typeof echarts, "init">;

/** A line of a chart: pairs of step and value. */
interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A line chart as SVG text, drawn without a browser. */
function chart(charts: Charts, title: string, axis: string, series: readonly Curve[], log: boolean): string {
  const drawing = charts.init(null, null, { renderer: "svg", ssr: true, width: 560, height: 330 });
  drawing.setOption({
    animation: false,
    title: { text: title, left: 0, textStyle: { fontSize: 14 } },
    legend: { top: 34, left: 0 },
    grid: { top: 94, left: 56, right: 16, bottom: 40 },
    xAxis: { type: "value", name: "optimiser step", nameLocation: "middle", nameGap: 24 },
    yAxis: { type: log ? "log" : "value", name: axis },
    series: series.map(({ name, points }) => ({ name, type: "line", showSymbol: false, data: points.map((point) => [...point]) })),
  });
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return svg;
}

/** Smooths a curve for the eye: mean over a window that ends at each point. */
function smooth(points: readonly (readonly [number, number])[], window = 15): (readonly [number, number])[] {
  return points.map(([x], i) => {
    const part = points.slice(Math.max(0, i - window + 1), i + 1);
    return [x, part.reduce((sum, [, y]) => sum + y, 0) / part.length] as const;
  });
}

/** A completion with each character coloured by the divergence of its token. */
function heat({ prompt, text, reference, divergence }: Sample): string {
  const strongest = 4;
  // One token is one character here; the end token has no text.
  const spans = Array.from(text, (character, n) => {
    const value = divergence?.[n] ?? 0;
    const alpha = Math.min(1, value / strongest).toFixed(2);
    return `<span style="background:rgba(220,60,40,${alpha})" title="${value.toFixed(3)} nats">${escapeHtml(character)}</span>`;
  });
  const mark = text.trim() === reference.trim() ? "✓" : "✗";
  return `<code>${escapeHtml(prompt)}${spans.join("")}</code> <span class="${mark === "✓" ? "good" : "bad"}">${mark}</span>`;
}

/** What tells a report of ours from other files. */
const mark = "<!-- written by retort demo -->";
const title = "<title>Retort: on-policy distillation, a small run</title>";

/** Whether a file begins as a report of ours does. */
export const isReport = (head: string): boolean => head.includes(mark) || head.includes(title);

/** Samples of two models that differ, side by side, as rows of a table. */
function pairsOf(start: Contender, best: Contender): string {
  const others = start.evaluation.samples;
  return best.evaluation.samples
    .flatMap((sample, i) => (others[i]?.text === sample.text ? [] : [[sample, others[i]] as const]))
    .slice(0, 16)
    .map(
      ([after, before]) => `<tr><td>${escapeHtml(after.reference)}</td><td>${before ? heat(before) : ""}</td><td>${heat(after)}</td></tr>`,
    )
    .join("\n");
}

/** The report as one HTML file that needs nothing else. */
export function reportHtml(contenders: readonly Contender[], seconds: number, charts: Charts): string {
  const trained = contenders.flatMap(({ name, history }) => (history ? [{ name, history }] : []));
  const curves = trained.map(({ name, history }) => ({
    name,
    points: smooth(history.steps.map(({ step, divergence }) => [step, Math.max(divergence, 1e-4)] as const)),
  }));
  const quality = trained.map(({ name, history }) => ({
    name,
    points: history.evaluations.map(({ version, greedy }) => [version, 100 * (greedy ?? 0)] as const),
  }));
  const start = found(
    contenders.find(({ name }) => name.startsWith("SFT")),
    "the SFT student of the comparison",
  );
  const best = found(contenders.at(-1), "the last student of the comparison");
  const rows = (list: readonly (readonly string[])[], cell: string) =>
    list.map((row) => `<tr>${row.map((text) => `<${cell}>${escapeHtml(text)}</${cell}>`).join("")}</tr>`).join("\n");
  return `<!doctype html>
${mark}
<html lang="en"><head><meta charset="utf-8">${title}
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ddd;padding:.35rem .7rem;text-align:left}th{background:#f6f6f6}
tr:last-child td{font-weight:600}.pairs tr:last-child td{font-weight:400}code{font-size:14px}.good{color:#17803d}.bad{color:#b91c1c}.charts{display:flex;flex-wrap:wrap;gap:1rem}
</style></head><body>
<h1>On-policy distillation, a small run</h1>
<p>A teacher of about 100,000 parameters writes numbers in words ("347=" → "three hundred forty seven"). A student of about
3,000 parameters was first trained on 150 examples. Then it was distilled in different ways, through Retort's services, in ${seconds.toFixed(0)} seconds on this machine.
Every figure is measured on 400 numbers that no student has seen.</p>
<table><thead>${rows([tableHead], "th")}</thead><tbody>${rows(contenders.map(tableRow), "td")}</tbody></table>
<p>On-policy distillation trains on what the student itself writes; the teacher judges every token of it, so it needs prompts
but no reference answers. KL is the mean per token over the student's own samples at temperature 1, in nats.</p>
<div class="charts">${chart(charts, "What each method minimises", "nats per token", curves, true)}${chart(charts, "Greedy exact match on held-out numbers", "percent", quality, false)}</div>
<h2>Before and after</h2>
<p>Samples at temperature 1. The redder a character, the further the teacher's next-token distribution was from the student's at that point.</p>
<table class="pairs"><thead><tr><th>reference</th><th>${escapeHtml(start.name)}</th><th>${escapeHtml(best.name)}</th></tr></thead><tbody>${pairsOf(start, best)}</tbody></table>
</body></html>
`;
}
