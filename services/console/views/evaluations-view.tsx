import type { EvaluationFinished } from "../../shared/gen/retort/v1/events_pb.js";
import { bestRow, columnsOf, isShare } from "../model/evaluation-table.js";
import { number } from "../model/format.js";
import { Scroll } from "./scroll.js";
import type { Watched } from "./watch.js";

/** Evaluations of a run in a table. */
export function EvaluationsView({ watched: { history } }: { readonly watched: Watched }) {
  const evaluations = history.evaluations.map(({ value }) => value);
  if (history.sequence === 0) return <p>Loading …</p>;
  if (!evaluations.length) return <p>The run has not been evaluated yet.</p>;
  return (
    <EvaluationsTable rows={evaluations.map((evaluation) => ({ name: `step ${number(evaluation.version)}`, evaluation }))} head="Version" />
  );
}

/** A row of a table of evaluations. */
export interface EvaluationRow {
  readonly name: string;
  readonly evaluation: EvaluationFinished;
  /** Where its name leads. */
  readonly href?: string;
  /** What else is said of it, by the names of columns. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
  /** True for one that the others aren't compared with: their teacher. */
  readonly aside?: boolean;
}

interface EvaluationsTableProps {
  readonly rows: readonly EvaluationRow[];
  readonly head: string;
}

/** Evaluations, one a row; the best by the first figure is bold. Shares have 95 % intervals. */
export function EvaluationsTable({ rows, head }: EvaluationsTableProps) {
  const evaluations = rows.map(({ evaluation }) => evaluation);
  const columns = columnsOf(evaluations);
  const facts = [...new Set(rows.flatMap((row) => (row.facts ?? []).map(([name]) => name)))];
  const best = bestRow(
    evaluations,
    rows.flatMap(({ aside }, n) => (aside ? [n] : [])),
  );
  return (
    <>
      <Scroll name="Evaluations">
        <table class="evaluations">
          <thead>
            <tr>
              <th scope="col">{head}</th>
              {facts.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
              {columns.map(({ name }) => (
                <th key={name} scope="col" class="num">
                  {name}
                </th>
              ))}
              <th scope="col" class="num">
                prompts
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, n) => (
              <tr key={row.name} class={n === best ? "best" : ""}>
                <th scope="row">{row.href ? <a href={row.href}>{row.name}</a> : row.name}</th>
                {facts.map((name) => (
                  <td key={name}>{row.facts?.find(([one]) => one === name)?.[1] ?? "–"}</td>
                ))}
                {columns.map(({ name, value, words }) => {
                  const found = value(row.evaluation);
                  return (
                    <td key={name} class="num">
                      {found === undefined ? "–" : words(found, row.evaluation)}
                    </td>
                  );
                })}
                <td class="num">{number(row.evaluation.prompts)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="small">{notes(evaluations, columns[0]?.name)}</p>
    </>
  );
}

/** How the table is read. */
function notes(evaluations: readonly EvaluationFinished[], first: string | undefined): string {
  const metrics = [...new Set(evaluations.map(({ metric }) => metric).filter(Boolean))];
  const intervals = metrics.some(isShare) ? "; in brackets, 95 % intervals (Wilson)" : "";
  return [
    metrics.length ? `Metric ${metrics.join(", ")}${intervals}.` : "",
    first ? `Bold: best ${first}.` : "",
    "Divergences in nats per token, on the student's own samples.",
  ]
    .filter(Boolean)
    .join(" ");
}
