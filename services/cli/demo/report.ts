import { found } from "../../shared/base/found.js";
import type { Sample } from "../models/evaluate-model.js";
import type { Contender } from "./compare.js";
import { type Charts, chart, escapeHtml, heat, nats, reportPage, smooth, tableRows } from "./page.js";

const percent = (x: number | undefined): string => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);

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

/** A completion, and whether it is right. One token is one character here; the end token has no text. */
function shown({ prompt, text, reference, divergence }: Sample): string {
  const right = text.trim() === reference.trim();
  const mark = `<span class="${right ? "good" : "bad"}">${right ? "✓" : "✗"}</span>`;
  return `<code>${escapeHtml(prompt)}${heat(Array.from(text), divergence)}</code> ${mark}`;
}

/** Samples of two models that differ, side by side, as rows of a table. */
function pairsOf(start: Contender, best: Contender): string {
  const others = start.evaluation.samples;
  return best.evaluation.samples
    .flatMap((sample, i) => (others[i]?.text === sample.text ? [] : [[sample, others[i]] as const]))
    .slice(0, 16)
    .map(
      ([after, before]) =>
        `<tr><td>${escapeHtml(after.reference)}</td><td>${before ? shown(before) : ""}</td><td>${shown(after)}</td></tr>`,
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
  return reportPage(
    "on-policy distillation, a small run",
    `<p>A teacher of about 100,000 parameters writes numbers in words ("347=" → "three hundred forty seven"). A student of about
3,000 parameters was first trained on 150 examples. Then it was distilled in different ways, through Retort's services, in ${seconds.toFixed(0)} seconds on this machine.
Every figure is measured on 400 numbers that no student has seen.</p>
<table><thead>${tableRows([tableHead], "th")}</thead><tbody>${tableRows(contenders.map(tableRow), "td")}</tbody></table>
<p>On-policy distillation trains on what the student itself writes; the teacher judges every token of it, so it needs prompts
but no reference answers. KL is the mean per token over the student's own samples at temperature 1, in nats.</p>
<div class="charts">${chart(charts, "What each method minimises", "nats per token", curves, true)}${chart(charts, "Greedy exact match on held-out numbers", "percent", quality, false)}</div>
<h2>Before and after</h2>
<p>Samples at temperature 1. The redder a character, the further the teacher's next-token distribution was from the student's at that point.</p>
<table class="pairs"><thead><tr><th>reference</th><th>${escapeHtml(start.name)}</th><th>${escapeHtml(best.name)}</th></tr></thead><tbody>${pairsOf(start, best)}</tbody></table>`,
  );
}
