import type * as echarts from "echarts";

/** A text as HTML shows it. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);

/** A number of nats for people. */
export const nats = (x: number | undefined): string => (x === undefined ? "–" : x.toFixed(3));

/** The chart library, which demos alone load. */
export type Charts = Pick<typeof echarts, "init">;

/** A line of a chart: pairs of step and value. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A line chart as SVG text, drawn without a browser. */
export function chart(charts: Charts, title: string, axis: string, series: readonly Curve[], log: boolean): string {
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
export function smooth(points: readonly (readonly [number, number])[], window = 15): (readonly [number, number])[] {
  return points.map(([x], i) => {
    const part = points.slice(Math.max(0, i - window + 1), i + 1);
    return [x, part.reduce((sum, [, y]) => sum + y, 0) / part.length] as const;
  });
}

/** Divergence at which a token is as red as can be, nats. */
const strongest = 4;

/** A completion, token by token, each the redder the larger its divergence is, in nats. */
export function heat(tokens: readonly string[], divergence: ArrayLike<number> = []): string {
  const spans = tokens.map((token, n) => {
    const value = divergence[n] ?? 0;
    const alpha = Math.min(1, value / strongest).toFixed(2);
    return `<span style="background:rgba(220,60,40,${alpha})" title="${value.toFixed(3)} nats">${escapeHtml(token)}</span>`;
  });
  return spans.join("");
}

/** Rows of a table, in cells of a kind. */
export const tableRows = (rows: readonly (readonly string[])[], cell: "td" | "th"): string =>
  rows.map((row) => `<tr>${row.map((text) => `<${cell}>${escapeHtml(text)}</${cell}>`).join("")}</tr>`).join("\n");

/** What tells a report of ours from other files. */
const mark = "<!-- written by retort demo -->";
const oldTitle = "<title>Retort: on-policy distillation, a small run</title>";

/** Whether a file begins as a report of ours does. */
export const isReport = (head: string): boolean => head.includes(mark) || head.includes(oldTitle);

/** A report as one HTML file that needs nothing else. @param body HTML */
export const reportPage = (title: string, body: string): string => `<!doctype html>
${mark}
<html lang="en"><head><meta charset="utf-8"><title>Retort: ${escapeHtml(title)}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ddd;padding:.35rem .7rem;text-align:left;vertical-align:top}th{background:#f6f6f6}
tr:last-child td{font-weight:600}.pairs tr:last-child td{font-weight:400}code{font-size:14px;white-space:pre-wrap}.good{color:#17803d}.bad{color:#b91c1c}.charts{display:flex;flex-wrap:wrap;gap:1rem}
</style></head><body>
<h1>${escapeHtml(title.charAt(0).toUpperCase() + title.slice(1))}</h1>
${body}
</body></html>
`;
