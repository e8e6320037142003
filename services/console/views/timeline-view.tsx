import { useState } from "preact/hooks";
import type { RunHistory } from "../../shared/flow/history/run-history.js";
import { duration } from "../model/format.js";
import { blocks, works, workWord } from "../model/works.js";
import type { Watched } from "./watch.js";

const width = 1000;
const rowHeight = 22;

/** What every process did when: a row each, over the run, its last minute, or a step. */
export function TimelineView({ watched: { history } }: { readonly watched: Watched }) {
  const [chosen, setChosen] = useState("minute");
  const [step, setStep] = useState<number>();
  const processes = [...history.processes].filter(([, { spans }]) => spans.length);
  if (history.sequence === 0) return <p>Loading …</p>;
  if (!processes.length) return <p>The processes of this run have said nothing about what they do.</p>;
  const window = windowOf(history, chosen, step ?? history.step);
  const shownWorks = works.filter((work) => processes.some(([, { spans }]) => spans.some((span) => span.work === work)));
  return (
    <section aria-label="Timeline">
      <div class="tools">
        <label>
          <span class="small">Show</span>{" "}
          <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="minute">the last minute</option>
            <option value="step">a step</option>
            <option value="run">the whole run</option>
          </select>
        </label>
        {chosen === "step" && (
          <label>
            <span class="small">Step</span>{" "}
            <input
              type="number"
              min="1"
              max={history.step}
              value={step ?? history.step}
              onInput={(event) => setStep(event.currentTarget.valueAsNumber || undefined)}
            />
          </label>
        )}
        <span class="legend">
          {shownWorks.map((work) => (
            <span key={work}>
              <i class={`swatch ${workWord(work)}`} /> {workWord(work)}
            </span>
          ))}
        </span>
      </div>
      <p class="small num">
        {duration(window[0])} to {duration(window[1])} after the start
      </p>
      <div class="timeline">
        {processes.map(([name, { spans }]) => (
          <Row key={name} name={name} shown={blocks(spans, window, (window[1] - window[0]) / width)} window={window} />
        ))}
      </div>
    </section>
  );
}

interface RowProps {
  readonly name: string;
  readonly shown: ReturnType<typeof blocks>;
  readonly window: readonly [number, number];
}

function Row({ name, shown, window: [begin, end] }: RowProps) {
  const x = (seconds: number) => ((seconds - begin) / (end - begin || 1)) * width;
  const totals = works.flatMap((work) => {
    const sum = shown.filter((block) => block.work === work).reduce((total, { from, to }) => total + to - from, 0);
    return sum > 0 ? [`${workWord(work)} ${duration(sum)}`] : [];
  });
  return (
    <>
      <div class="process">{name}</div>
      <div>
        <svg viewBox={`0 0 ${width} ${rowHeight}`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${totals.join(", ")}`}>
          {shown.map(({ work, from, to, message }) => (
            <rect key={from} class={workWord(work)} x={x(from)} width={Math.max(0.8, x(to) - x(from))} y={2} height={rowHeight - 4}>
              <title>{`${workWord(work)} ${duration(to - from)}${message ? `: ${message}` : ""}`}</title>
            </rect>
          ))}
        </svg>
        <div class="small num">{totals.join(" · ")}</div>
      </div>
    </>
  );
}

/** Seconds from and to which is shown. A step is from the end of the one before to its own. */
function windowOf(history: RunHistory, chosen: string, step: number): readonly [number, number] {
  if (chosen === "run") return [0, history.seconds];
  if (chosen === "minute") return [Math.max(0, history.seconds - 60), history.seconds];
  const of = [...history.processes.values()].flatMap(({ spans }) => spans.filter((span) => span.step === step));
  if (!of.length) return [Math.max(0, history.seconds - 60), history.seconds];
  return [Math.min(...of.map(({ from }) => from)), Math.max(...of.map(({ to }) => to ?? history.seconds))];
}
