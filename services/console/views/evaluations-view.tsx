import type { RunHistory } from "../../shared/flow/history/run-history.js";
import type { EvaluationFinished, Example } from "../../shared/gen/retort/v1/events_pb.js";
import { bestRow, columnsOf } from "../model/evaluation-table.js";
import { number } from "../model/format.js";
import { scaleOf } from "../model/token-values.js";
import { Scroll } from "./scroll.js";
import { ScaleLegend, Tokens } from "./tokens.js";

/** Evaluations in a table, and the same prompts before and after training. */
export function EvaluationsView({ history }: { readonly history: RunHistory }) {
  const evaluations = history.evaluations.map(({ value }) => value);
  if (!evaluations.length) return <p>The run has not been evaluated yet.</p>;
  return (
    <>
      <EvaluationsTable rows={evaluations.map((evaluation) => [`step ${number(evaluation.version)}`, evaluation])} head="Version" />
      <BeforeAfter evaluations={evaluations} />
    </>
  );
}

interface EvaluationsTableProps {
  readonly rows: readonly (readonly [name: string, evaluation: EvaluationFinished])[];
  readonly head: string;
}

/** Evaluations, one a row; the best by the first figure is bold. Shares have 95 % intervals. */
export function EvaluationsTable({ rows, head }: EvaluationsTableProps) {
  const evaluations = rows.map(([, evaluation]) => evaluation);
  const columns = columnsOf(evaluations);
  const best = bestRow(evaluations);
  const metrics = [...new Set(evaluations.map(({ metric }) => metric).filter(Boolean))].join(", ");
  return (
    <>
      <Scroll name="Evaluations">
        <table>
          <thead>
            <tr>
              <th scope="col">{head}</th>
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
            {rows.map(([name, evaluation], n) => (
              <tr key={name} class={n === best ? "best" : ""}>
                <th scope="row">{name}</th>
                {columns.map((column) => {
                  const value = column.value(evaluation);
                  return (
                    <td key={column.name} class="num">
                      {value === undefined ? "–" : column.words(value, evaluation)}
                    </td>
                  );
                })}
                <td class="num">{number(evaluation.prompts)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="small">
        {metrics && `Metric ${metrics}; in brackets, 95 % intervals (Wilson). `}
        Bold: best {columns[0]?.name ?? ""}. Divergences in nats per token.
      </p>
    </>
  );
}

/** The examples of the first evaluation beside those of the last. */
function BeforeAfter({ evaluations }: { readonly evaluations: readonly EvaluationFinished[] }) {
  const [first, last] = [evaluations[0], evaluations.at(-1)];
  if (!first || !last || first === last) return null;
  const pairs = first.examples.flatMap((before) => {
    const after = last.examples.find(({ prompt }) => prompt === before.prompt);
    return after ? [{ before, after }] : [];
  });
  if (!pairs.length) return null;
  const scale = scaleOf(
    pairs.flatMap(({ before, after }) => [before, after]),
    "divergence",
  );
  return (
    <section aria-label="Before and after">
      <h2>Before and after</h2>
      <p>
        Greedy completions of step {number(first.version)} and step {number(last.version)}, coloured by divergence{" "}
        <ScaleLegend scale={scale} />
      </p>
      {pairs.map(({ before, after }) => (
        <article class="sample" key={before.prompt} aria-label={`before and after: ${before.prompt.slice(0, 40)}`}>
          <p class="prompt">{before.prompt}</p>
          <ExampleTokens example={before} scale={scale} name={`step ${first.version}`} />
          <ExampleTokens example={after} scale={scale} name={`step ${last.version}`} />
          {before.reference && (
            <p>
              <span class="small">reference</span> {before.reference}
            </p>
          )}
        </article>
      ))}
    </section>
  );
}

interface ExampleProps {
  readonly example: Example;
  readonly scale: ReturnType<typeof scaleOf>;
  readonly name: string;
}

const ExampleTokens = ({ example, scale, name }: ExampleProps) => (
  <div class="pair">
    <span class="small num">{name}</span>
    <div>
      <Tokens sample={example.tokens.length ? example : { tokens: [example.completion] }} scale={scale} name={`completion of ${name}`} />
    </div>
  </div>
);
