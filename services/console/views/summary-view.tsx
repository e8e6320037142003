import { useMemo } from "preact/hooks";
import type { Summary } from "../source/report-data.js";
import type { Source } from "../source/source.js";
import { link } from "../state.js";
import { Completions } from "./completions.js";
import { Curves } from "./curves.js";
import { EvaluationsTable } from "./evaluations-view.js";
import { useLoaded } from "./load.js";
import { Trouble } from "./trouble.js";

/** What a report says first: models in a table, what they write side by side, and the curves of the runs that made them. */
export function SummaryView({ source, summary: { title, paragraphs, models } }: { readonly source: Source; readonly summary: Summary }) {
  const load = async () =>
    Promise.all((await source.runs({})).runs.map(async (run) => ({ run, figures: (await source.figures(run.runId, [], 1000)).figures })));
  const { value: runs, error } = useLoaded(load, "summary");
  // A teacher comes last: the others are held against the start, not against it.
  const columns = useMemo(() => [...models].sort((a, b) => Number(a.aside ?? false) - Number(b.aside ?? false)), [models]);
  const rows = models.map(({ runId, ...model }) => ({ ...model, href: runId === undefined ? undefined : link("run", runId) }));
  return (
    <>
      <h1>{title}</h1>
      {paragraphs.map((text) => (
        <p key={text} class="prose">
          {text}
        </p>
      ))}
      <EvaluationsTable head="Model" rows={rows} />
      <h2>What they write</h2>
      <Completions columns={columns} />
      <h2>How they were trained</h2>
      {error !== undefined && <Trouble error={error} />}
      {runs && <Curves runs={runs} sync="summary" />}
    </>
  );
}
