import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Figure } from "../../shared/gen/retort/v1/controller_pb.js";
import { type Run, RunState, RunStateSchema } from "../../shared/gen/retort/v1/run_pb.js";
import { objectiveOf } from "../model/figures.js";
import { number, utc } from "../model/format.js";
import type { RunFilter, Source } from "../source/source.js";
import { go, link } from "../state.js";
import { useLoaded } from "./load.js";
import { Scroll } from "./scroll.js";
import { Sparkline } from "./sparkline.js";
import { over, StateBadge, stateWord } from "./state-badge.js";
import { Trouble } from "./trouble.js";

/** The list of runs: state, figures, search, and a choice of runs to compare. */
export function RunsView({ source }: { readonly source: Source }) {
  const [filter, setFilter] = useState<RunFilter>({});
  // The places at which the pages before this one begin.
  const [before, setBefore] = useState<readonly string[]>([]);
  const { value, error } = useLoaded(() => source.runs(filter), JSON.stringify(filter), source.control ? 2000 : 0);
  const shown = useKept(value);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const turn = (pages: readonly string[], next: RunFilter) => {
    setBefore(pages);
    setFilter({ ...filter, page: "", ...next });
  };
  const choose = (id: string) => setChosen((ids) => (ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]));
  return (
    <>
      <div class="head">
        <h1>Runs</h1>
        <Search search={(search) => turn([], { search })} />
        <label>
          <span class="small">State</span>{" "}
          <select onChange={(event) => turn([], { state: Number(event.currentTarget.value) })}>
            <option value={0}>all</option>
            {states.map((state) => (
              <option key={state} value={state}>
                {stateWord(state)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" disabled={chosen.length < 2} onClick={() => go("compare", chosen.join(","))}>
          Compare {chosen.length || ""}
        </button>
      </div>
      {error !== undefined && <Trouble error={error} />}
      {shown?.runs.length === 0 && <Empty any={Boolean(filter.search || filter.state || before.length)} />}
      {shown && shown.runs.length > 0 && <RunsTable source={source} runs={shown.runs} chosen={chosen} choose={choose} />}
      {(before.length > 0 || shown?.next) && (
        <nav class="buttons" aria-label="Pages of the list">
          <button type="button" disabled={before.length === 0} onClick={() => turn(before.slice(0, -1), { page: before.at(-1) ?? "" })}>
            ← Newer
          </button>
          <button type="button" disabled={!shown?.next} onClick={() => turn([...before, filter.page ?? ""], { page: shown?.next ?? "" })}>
            Older →
          </button>
          <span class="small">page {before.length + 1}</span>
        </nav>
      )}
    </>
  );
}

/** The states that a run can be in. */
const states = RunStateSchema.values.map(({ number }): RunState => number).filter((state) => state !== RunState.UNSPECIFIED);

/** What was there last, until there is something else: a list that is loaded again stays. */
function useKept<T>(value: T | undefined): T | undefined {
  const kept = useRef(value);
  if (value !== undefined) kept.current = value;
  return kept.current;
}

/** How long nothing is typed before it is looked for. */
const pauseMs = 250;

/** A field that tells what is in it once its user pauses. */
function Search({ search }: { readonly search: (text: string) => void }) {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <label class="grow">
      <span class="small">Search</span>{" "}
      <input
        type="search"
        placeholder="name, id, method"
        onInput={({ currentTarget: { value } }) => {
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => search(value), pauseMs);
        }}
      />
    </label>
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
          <RunRow key={run.runId} source={source} run={run} chosen={chosen.includes(run.runId)} choose={choose} />
        ))}
      </tbody>
    </table>
  </Scroll>
);

interface RowProps extends Omit<TableProps, "runs" | "chosen"> {
  readonly run: Run;
  readonly chosen: boolean;
}

function RunRow({ source, run, chosen, choose }: RowProps) {
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
