import { useMemo } from "preact/hooks";
import { specDiff } from "../model/spec-diff.js";
import { specJson } from "../model/spec-text.js";
import type { Source } from "../source/source.js";
import { link } from "../state.js";
import { Completions } from "./completions.js";
import { Curves } from "./curves.js";
import { EvaluationsTable } from "./evaluations-view.js";
import { useLoaded } from "./load.js";
import { Scroll } from "./scroll.js";
import { over } from "./state-badge.js";
import { Trouble } from "./trouble.js";
import { useHistory } from "./watch.js";

/** Several runs: curves in the same charts, last evaluations, and what their specs differ in. */
export function CompareView({ source, runIds }: { readonly source: Source; readonly runIds: readonly string[] }) {
  const load = () =>
    Promise.all(
      runIds.map(async (id) => {
        const [run, { figures }] = await Promise.all([source.run(id), source.figures(id, [], 1000)]);
        return { run, figures };
      }),
    );
  const { value: runs, error } = useLoaded(load, runIds.join(), source.control ? 5000 : 0);
  if (!runs) return error === undefined ? <p>Loading {runIds.length} runs …</p> : <Trouble error={error} />;
  return (
    <>
      <div class="head">
        <h1>{runs.length} runs</h1>
        <span>
          {runs.map(({ run }, n) => (
            <span key={run.runId}>
              {n > 0 && ", "}
              <a href={link("run", run.runId)}>{run.runId}</a>
              {over.includes(run.state) ? "" : " (goes on)"}
            </span>
          ))}
        </span>
      </div>
      {error !== undefined && <Trouble error={error} />}
      <LastEvaluations source={source} runIds={runs.map(({ run }) => run.runId)} />
      <Curves runs={runs} sync="compare" />
      <SpecDifference ids={runs.map(({ run }) => run.runId)} differences={specDiff(runs.map(({ run }) => specJson(run.spec)))} />
    </>
  );
}

/** The runs' last evaluations, in a table and by what they kept of the same prompts. */
function LastEvaluations({ source, runIds }: { readonly source: Source; readonly runIds: readonly string[] }) {
  // The number of runs doesn't change while a comparison is shown, so the hooks' order holds.
  const histories = runIds.map((id) => ({ id, evaluations: useHistory(source, id).history.evaluations.map(({ value }) => value) }));
  const rows = histories.flatMap(({ id, evaluations }) => {
    const evaluation = evaluations.at(-1);
    return evaluation ? [{ name: id, href: link("run", id), evaluation }] : [];
  });
  const start = histories[0]?.evaluations[0];
  const key = rows.map(({ name, evaluation }) => `${name} ${evaluation.version}`).join();
  const columns = useMemo(() => [...(start ? [{ name: `before, ${runIds[0]}`, evaluation: start }] : []), ...rows], [key]);
  if (!rows.length) return null;
  return (
    <>
      <EvaluationsTable head="Run, last evaluation" rows={rows} />
      <details class="pick">
        <summary>Completions side by side</summary>
        <Completions columns={columns} />
      </details>
    </>
  );
}

interface DifferenceProps {
  readonly ids: readonly string[];
  readonly differences: ReturnType<typeof specDiff>;
}

const SpecDifference = ({ ids, differences }: DifferenceProps) => (
  <section>
    <h2>Difference of the specs</h2>
    {differences.length === 0 ? (
      <p>The specs are the same.</p>
    ) : (
      <Scroll name="Difference of the specs">
        <table>
          <thead>
            <tr>
              <th scope="col">Field</th>
              {ids.map((id) => (
                <th key={id} scope="col">
                  {id}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {differences.map(({ path, values }) => (
              <tr key={path}>
                <th scope="row">{path}</th>
                {values.map((value, n) => (
                  <td key={ids[n]}>{value ?? "–"}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    )}
  </section>
);
