import { bytesInWords } from "../../../shared/base/bytes-in-words.js";
import { found } from "../../../shared/base/found.js";
import type { Tokenizer } from "../../../shared/ml/text/tokenizer.js";
import type { Sample } from "../../models/evaluate-model.js";
import type { Contender } from "../compare.js";
import { type Charts, chart, escapeHtml, heat, nats, reportPage, smooth, tableRows } from "../page.js";
import type { PeakMemory } from "./peak-memory.js";

/** A model of the demo: what was measured, and what its run took. */
export interface Distilled extends Contender {
  /** Weights that were trained. */
  readonly trained?: number;
  /** Of its run, from the start to the saved model. */
  readonly seconds?: number;
  readonly memory?: PeakMemory;
}

/** The head of the comparison's table. */
export const tableHead = [
  ...["", "what it is", "KL(teacher‖student)", "KL(student‖teacher)", "run", "a step", "peak memory: learner", "student", "teacher"],
];

/** A row of that table. Divergences are exact means per token over the model's own samples at temperature 1, in nats. */
export function tableRow({ name, data, evaluation, seconds, history, memory }: Distilled): string[] {
  const { forwardKl, reverseKl } = evaluation;
  const steps = history?.steps ?? [];
  const mean = steps.reduce((sum, step) => sum + step.seconds, 0) / Math.max(1, steps.length);
  const bytes = (role: string) => (memory?.[role] ? bytesInWords(memory[role]) : "–");
  const times = history ? [`${seconds?.toFixed(0)} s`, `${mean.toFixed(1)} s`] : ["–", "–"];
  return [name, data, nats(forwardKl), nats(reverseKl), ...times, bytes("learner"), bytes("student"), bytes("teacher")];
}

/** What a report shows. */
export interface ReportFacts {
  /** The teacher, the start, and what was made of it. */
  readonly models: readonly Distilled[];
  readonly tokenizer: Tokenizer;
  readonly teacher: string;
  readonly layers: string;
  readonly prompts: string;
  readonly steps: number;
  readonly seconds: number;
}

/** Prompts that the report shows. */
const shownPrompts = 8;

/** The report as one HTML file. */
export function reportHtml({ models, tokenizer, ...facts }: ReportFacts, charts: Charts): string {
  const [teacher, start, ...distilled] = models;
  const all = [found(teacher, "the teacher"), found(start, "the student before the runs"), ...distilled];
  const curves = distilled.map(({ name, history }) => ({
    name,
    points: smooth(
      (history?.steps ?? []).map(({ step, divergence }) => [step, divergence] as const),
      5,
    ),
  }));
  const rows = all[0]!.evaluation.greedySamples.slice(0, shownPrompts).map((_, i) => i);
  const texts = rows.map((i) => {
    const greedy = all.map(({ evaluation }) => `<td><code>${escapeHtml(evaluation.greedySamples[i]?.text ?? "")}</code></td>`);
    return `<tr><td><code>${escapeHtml(all[0]!.evaluation.greedySamples[i]?.prompt ?? "")}</code></td>${greedy.join("")}</tr>`;
  });
  const heats = rows.map(
    (i) =>
      `<tr>${all
        .slice(1)
        .map(({ evaluation }) => `<td>${shown(evaluation.samples[i], tokenizer)}</td>`)
        .join("")}</tr>`,
  );
  const names = all.map(({ name }) => name);
  return reportPage(
    "on-policy distillation of a language model",
    `<p>Teacher: ${escapeHtml(facts.teacher)}. Student: the same model with ${escapeHtml(facts.layers)}. Each run was ${facts.steps} on-policy steps from that
start, through Retort's services, on prompts alone (${escapeHtml(facts.prompts)}). All of it took ${facts.seconds.toFixed(0)} seconds on this machine. Divergences are
measured on held-out prompts: exact means per token over a model's own samples at temperature 1, in nats.</p>
<table><thead>${tableRows([tableHead], "th")}</thead><tbody>${tableRows(all.map(tableRow), "td")}</tbody></table>
<div class="charts">${chart(charts, "What each run minimises", "nats per token", curves, false)}</div>
<h2>Held-out prompts, greedy</h2>
<table class="pairs"><thead>${tableRows([["prompt", ...names]], "th")}</thead><tbody>${texts.join("\n")}</tbody></table>
<h2>Samples at temperature 1, before and after</h2>
<p>The redder a token, the further the teacher's next-token distribution was from the student's at that point.</p>
<table class="pairs"><thead>${tableRows([names.slice(1)], "th")}</thead><tbody>${heats.join("\n")}</tbody></table>`,
  );
}

/** A sample's tokens by their divergence. */
function shown(sample: Sample | undefined, tokenizer: Tokenizer): string {
  if (!sample) return "";
  const ids = [...sample.ids];
  // A token's text is what the text has more with it: by itself it may lose a space, or be part of a character.
  const texts = tokenizer.decodeAll(
    ids.map((_, n) => ids.slice(0, n + 1)),
    { skipSpecial: false },
  );
  const pieces = texts.map((text, n) => text.slice(n > 0 ? texts[n - 1]!.length : 0));
  return `<code>${heat(pieces, sample.divergence)}</code>`;
}
