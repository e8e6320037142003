import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useState } from "preact/hooks";
import type { ReadFiguresResponse } from "../../shared/gen/retort/v1/controller_pb.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { objectiveOf } from "../model/figures.js";
import { duration, number, percent, utc } from "../model/format.js";
import { secondsLeft } from "../model/smooth.js";
import type { Control, Source } from "../source/source.js";
import { link } from "../state.js";
import { BeforeAfterView } from "./before-after-view.js";
import { Curves } from "./curves.js";
import { EvaluationsView } from "./evaluations-view.js";
import { useLoaded } from "./load.js";
import { LogsView } from "./logs-view.js";
import { Notes } from "./notes.js";
import { Processes } from "./processes.js";
import { SamplesView } from "./samples-view.js";
import { SpecView } from "./spec-view.js";
import { over, StateBadge } from "./state-badge.js";
import { TimelineView } from "./timeline-view.js";
import { Trouble } from "./trouble.js";
import { useHistory, type Watched } from "./watch.js";

/** Points of a curve: more than a chart has pixels can't be seen. */
const maxPoints = 1000;

/** The parts of a run, by their place in the page's address. */
const allTabs = [
  ["overview", "Overview"],
  ["before-after", "Before and after"],
  ["samples", "Samples"],
  ["timeline", "Timeline"],
  ["evaluations", "Evaluations"],
  ["spec", "Spec"],
  ["logs", "Logs"],
] as const;

/** A run: what it does now, its curves, samples, timeline, evaluations, spec and logs. */
export function RunView({ source, runId, tab }: { readonly source: Source; readonly runId: string; readonly tab: string }) {
  const [live, setLive] = useState(true);
  const everyMs = source.control && live ? 2000 : 0;
  const run = useLoaded(() => source.run(runId), runId, everyMs);
  const figures = useLoaded(() => source.figures(runId, [], maxPoints), runId, everyMs);
  const watched = useHistory(source, runId, figures.value !== undefined || figures.error !== undefined);
  const error = run.error ?? figures.error;
  if (run.value && live === over.includes(run.value.state)) setLive(!live);
  if (!run.value) return error === undefined ? <p>Loading {runId} …</p> : <Trouble error={error} />;
  const tabs = allTabs.filter(([name]) => name !== "logs" || source.logs);
  return (
    <>
      <Head run={run.value} figures={figures.value} watched={watched} control={source.control} again={run.again} />
      {error !== undefined && <Trouble error={error} />}
      <nav class="tabs" aria-label="Parts of the run">
        {tabs.map(([name, words]) => (
          <a key={name} href={link("run", runId, name)} aria-current={tab === name ? "page" : undefined}>
            {words}
          </a>
        ))}
      </nav>
      <Tab source={source} run={run.value} tab={tab} figures={figures.value} watched={watched} />
    </>
  );
}

interface TabProps {
  readonly source: Source;
  readonly run: Run;
  readonly tab: string;
  readonly figures: ReadFiguresResponse | undefined;
  readonly watched: Watched;
}

function Tab({ source, run, tab, figures, watched }: TabProps) {
  switch (tab) {
    case "samples":
      return <SamplesView source={source} run={run} />;
    case "timeline":
      return <TimelineView watched={watched} />;
    case "before-after":
      return <BeforeAfterView watched={watched} />;
    case "evaluations":
      return <EvaluationsView watched={watched} />;
    case "spec":
      return <SpecView run={run} />;
    case "logs":
      return <LogsView source={source} runId={run.runId} />;
    default:
      return (
        <>
          {!over.includes(run.state) && <Processes watched={watched} />}
          {figures && figures.lastStep > 0 ? (
            <Curves runs={[{ run, figures: figures.figures }]} sync={run.runId} />
          ) : (
            <p>No step has been finished yet.</p>
          )}
          <Notes watched={watched} />
        </>
      );
  }
}

interface HeadProps {
  readonly run: Run;
  readonly figures: ReadFiguresResponse | undefined;
  readonly watched: Watched;
  readonly control: Control | undefined;
  readonly again: () => void;
}

function Head({ run, figures, watched, control, again }: HeadProps) {
  const last = (name: string) => figures?.figures.find((figure) => figure.name === name)?.mean.at(-1);
  const loss = figures?.figures.find(({ name }) => name === "loss");
  const left = loss && run.state === RunState.RUNNING ? secondsLeft(loss.steps, loss.seconds, run.totalSteps) : undefined;
  const facts: (readonly [string, string])[] = [
    ["step", `${number(run.step)} / ${number(run.totalSteps)}`],
    ["left", duration(left)],
    ["took", duration(loss?.seconds.at(-1))],
    ["loss", number(last("loss"))],
    ["divergence", number(last("divergence"))],
    ["reward", number(last("reward"))],
    ["finished", percent(last("finishedShare"))],
    ["tokens", number(loss?.tokens.at(-1))],
    ["objective", objectiveOf(run.spec)],
    ["seed", String(run.spec?.seed ?? 0)],
    ["owner", run.owner || "–"],
    ["started", run.created ? utc(timestampMs(run.created)) : "–"],
  ];
  return (
    <>
      <div class="head">
        <h1>{run.runId}</h1>
        <StateBadge state={run.state} />
        {control && <Buttons run={run} control={control} again={again} />}
      </div>
      {run.message && <p class="message">{run.message}</p>}
      <progress max={run.totalSteps || 1} value={run.step} aria-label="steps done" />
      <dl class="facts">
        {facts
          .filter(([, value]) => value !== "–")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <RanOn watched={watched} />
    </>
  );
}

/** What the run's learners were, and on which machines. */
function RanOn({ watched: { history } }: { readonly watched: Watched }) {
  const places = history.learners.flatMap(({ value: { software, machine } }) => (software ? [`${software} on ${machine}`] : []));
  return places.length ? <p class="small">Trained by {[...new Set(places)].join("; then by ")}</p> : null;
}

function Buttons({ run, control, again }: { readonly run: Run; readonly control: Control; readonly again: () => void }) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const ask = async (what: "pause" | "resume" | "stop") => {
    if (what === "stop" && !confirm(`Stop ${run.runId}? It saves a checkpoint and can be resumed.`)) return;
    setBusy(true);
    await control[what](run.runId).then(() => setError(undefined), setError);
    setBusy(false);
    again();
  };
  const going = run.state === RunState.RUNNING || run.state === RunState.PENDING;
  const resumable = run.state === RunState.PAUSED || run.state === RunState.STOPPED || run.state === RunState.FAILED;
  return (
    <span class="buttons">
      {going && <Ask what="pause" ask={ask} busy={busy} />}
      {resumable && <Ask what="resume" ask={ask} busy={busy} />}
      {(going || run.state === RunState.PAUSED) && <Ask what="stop" ask={ask} busy={busy} />}
      {error !== undefined && <Trouble error={error} />}
    </span>
  );
}

interface AskProps<What> {
  readonly what: What;
  readonly ask: (what: What) => Promise<void>;
  readonly busy: boolean;
}

const Ask = <What extends string>({ what, ask, busy }: AskProps<What>) => (
  <button type="button" disabled={busy} onClick={() => ask(what)}>
    {what.charAt(0).toUpperCase() + what.slice(1)}
  </button>
);
