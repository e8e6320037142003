import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Figure } from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { objectiveOf } from "../model/figures.js";
import { number, utc } from "../model/format.js";
import type { Source } from "../source/source.js";
import { go, link } from "../state.js";
import { useLoaded } from "./load.js";
import { Scroll } from "./scroll.js";
import { Sparkline } from "./sparkline.js";
import { over, StateBadge, stateWord } from "./state-badge.js";
import { Trouble } from "./trouble.js";

/** The list of runs: state, figures, search, and a choice of runs to compare. */
export function RunsView({ source }: { readonly source: Source }) {
  const { value: runs, error } = useLoaded(() => source.runs(), "runs", source.control ? 2000 : 0);
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const shown = (runs ?? []).filter((run) => (!state || stateWord(run.state) === state) && matches(run, text));
  const choose = (id: string) => setChosen((ids) => (ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]));
  return (
    <>
      <div class="head">
        <h1>Runs</h1>
        <label class="grow">
          <span class="small">Search</span>{" "}
          <input type="search" placeholder="name, id, objective" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <label>
          <span class="small">State</span>{" "}
          <select value={state} onChange={(event) => setState(event.currentTarget.value)}>
            <option value="">all</option>
            {[...new Set((runs ?? []).map((run) => stateWord(run.state)))].map((word) => (
              <option key={word}>{word}</option>
            ))}
          </select>
        </label>
        <button type="button" disabled={chosen.length < 2} onClick={() => go("compare", chosen.join(","))}>
          Compare {chosen.length || ""}
        </button>
      </div>
      {error !== undefined && <Trouble error={error} />}
      {runs &&
        (shown.length ? <RunsTable source={source} runs={shown} chosen={chosen} choose={choose} /> : <Empty any={runs.length > 0} />)}
    </>
  );
}

const Empty = ({ any }: { readonly any: boolean }) =>
  any ? (
    <p>No run matches.</p>
  ) : (
    <p>
      No runs yet. <a href={link("start")}>Start one</a>, or <code>retort run SPEC.yaml</code>.
    </p>
  );

interface TableProps {
  readonly source: Source;
  readonly runs: readonly Run[];
  readonly chosen: readonly string[];
  readonly choose: (runId: string) => void;
}

const RunsTable = ({ source, runs, chosen, choose }: TableProps) => (
  <Scroll name="Runs">
    <table class="runs">
      <thead>
        <tr>
          <th scope="col">
            <span class="hidden">Compare</span>
          </th>
          <th scope="col">Run</th>
          {isOwned(runs) && <th scope="col">Owner</th>}
          <th scope="col">State</th>
          <th scope="col" class="num">
            Step
          </th>
          <th scope="col" class="num">
            Loss
          </th>
          <th scope="col">
            <span class="hidden">Loss over steps</span>
          </th>
          <th scope="col">Objective</th>
          <th scope="col">Started</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <RunRow key={run.runId} source={source} run={run} owned={isOwned(runs)} chosen={chosen.includes(run.runId)} choose={choose} />
        ))}
      </tbody>
    </table>
  </Scroll>
);

interface RowProps extends Omit<TableProps, "runs" | "chosen"> {
  readonly run: Run;
  readonly chosen: boolean;
  /** Whether any of the runs has an owner. */
  readonly owned: boolean;
}

/** Where nobody has a name, there is nothing to tell apart. */
const isOwned = (runs: readonly Run[]): boolean => runs.some(({ owner }) => owner !== "");

function RunRow({ source, run, owned, chosen, choose }: RowProps) {
  const row = useRef<HTMLTableRowElement>(null);
  const loss = useLoss(source, run, row);
  return (
    <tr ref={row}>
      <td>
        <input type="checkbox" aria-label={`compare ${run.runId}`} checked={chosen} onChange={() => choose(run.runId)} />
      </td>
      <th scope="row">
        <a href={link("run", run.runId)}>{run.runId}</a>
      </th>
      {owned && <td>{run.owner || "–"}</td>}
      <td>
        <StateBadge state={run.state} />
      </td>
      <td class="num">
        {number(run.step)} / {number(run.totalSteps)}
      </td>
      <td class="num">{number(loss?.mean.at(-1))}</td>
      <td>
        <Sparkline values={loss?.mean ?? []} />
      </td>
      <td>{objectiveOf(run.spec)}</td>
      <td class="nowrap">{run.created ? utc(timestampMs(run.created)) : "–"}</td>
    </tr>
  );
}

/** The loss of a run, once its row can be seen; again when steps have been finished. */
function useLoss(source: Source, { runId, step, state }: Run, row: { readonly current: HTMLTableRowElement | null }): Figure | undefined {
  const [seen, setSeen] = useState(false);
  const [loss, setLoss] = useState<Figure>();
  // A run that goes on is asked for every eighth of what it has done, not at each step.
  const progress = over.includes(state) ? step : Math.floor(Math.log2(step + 1) * 8);
  useEffect(() => {
    if (!row.current) return;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true));
    observer.observe(row.current);
    return () => observer.disconnect();
  }, [row]);
  // Not `step`: `progress` says when to ask again
  useEffect(() => {
    if (!seen || step === 0) return;
    let gone = false;
    source.figures(runId, ["loss"], 60).then(
      ({ figures }) => gone || setLoss(figures[0]),
      // The list says what is wrong; a row without a curve is whole.
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [source, runId, seen, progress]);
  return loss;
}

function matches(run: Run, text: string): boolean {
  const all = `${run.runId} ${run.spec?.name} ${objectiveOf(run.spec)} ${run.message}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
