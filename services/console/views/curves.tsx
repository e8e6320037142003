import { useMemo, useState } from "preact/hooks";
import type { Figure } from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { type Along, along, firstFigures, label, objectiveOf, ofObjective, unit } from "../model/figures.js";
import { smooth } from "../model/smooth.js";
import { Chart, type Curve } from "./chart.js";

/** A run with its curves. */
export interface RunCurves {
  readonly run: Run;
  readonly figures: readonly Figure[];
}

const alongWords: Readonly<Record<Along, string>> = { step: "step", seconds: "seconds", tokens: "tokens" };

interface Shown {
  readonly axis: Along;
  readonly smoothing: number;
  readonly log: boolean;
}

/** Curves of runs: any figure, over steps, time or tokens. Figures of different objectives are in charts of their own. */
export function Curves({ runs, sync }: { readonly runs: readonly RunCurves[]; readonly sync: string }) {
  const names = useMemo(() => [...new Set(runs.flatMap(({ figures }) => figures.map(({ name }) => name)))].sort(), [runs]);
  const [picked, setPicked] = useState<readonly string[]>();
  const [shown, setShown] = useState<Shown>({ axis: "step", smoothing: 0, log: false });
  const chosen = picked ?? firstFigures.filter((name) => runs.some(({ figures }) => says(figures, name)));
  const toggle = (name: string) => setPicked(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  return (
    <section aria-label="Curves">
      <div class="tools">
        <label>
          <span class="small">Over</span>{" "}
          <select value={shown.axis} onChange={(event) => setShown({ ...shown, axis: event.currentTarget.value as Along })}>
            <option value="step">step</option>
            <option value="seconds">time</option>
            <option value="tokens">tokens</option>
          </select>
        </label>
        <label>
          <span class="small">Smoothing</span>{" "}
          <input
            type="range"
            min="0"
            max="0.98"
            step="0.02"
            value={shown.smoothing}
            onInput={(event) => setShown({ ...shown, smoothing: Number(event.currentTarget.value) })}
          />
        </label>
        <label>
          <input type="checkbox" checked={shown.log} onChange={() => setShown({ ...shown, log: !shown.log })} /> logarithm
        </label>
        <details class="pick">
          <summary>Figures</summary>
          <div class="choices">
            {names.map((name) => (
              <label key={name}>
                <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} /> {label(name)}
              </label>
            ))}
          </div>
        </details>
      </div>
      <div class="charts">
        {chosen.flatMap((name) =>
          grouped(runs, name).map(([objective, group]) => (
            <FigureChart key={name + objective} name={name} objective={objective} runs={group} all={runs} shown={shown} sync={sync} />
          )),
        )}
      </div>
    </section>
  );
}

/** Runs whose curves of a figure may be on one axis. */
function grouped(runs: readonly RunCurves[], name: string): (readonly [string, readonly RunCurves[]])[] {
  const having = runs.filter(({ figures }) => figures.some((figure) => figure.name === name));
  if (!ofObjective(name)) return having.length ? [["", having]] : [];
  return [...Map.groupBy(having, ({ run }) => objectiveOf(run.spec))];
}

/** Whether a figure is worth showing unasked: something else than 0, and a divergence something else than the loss. */
function says(figures: readonly Figure[], name: string): boolean {
  const mean = (other: string) => figures.find((figure) => figure.name === other)?.mean;
  const [own, loss] = [mean(name), mean("loss")];
  return (
    (own?.some((value) => value !== 0) ?? false) &&
    !(name === "divergence" && own?.every((value, i) => Math.abs(value - (loss?.[i] ?? 0)) <= 1e-4 * Math.abs(value)))
  );
}

interface FigureChartProps {
  readonly name: string;
  readonly objective: string;
  readonly runs: readonly RunCurves[];
  readonly all: readonly RunCurves[];
  readonly shown: Shown;
  readonly sync: string;
}

function FigureChart({ name, objective, runs, all, shown, sync }: FigureChartProps) {
  const curves = useMemo(() => runs.flatMap((one) => curveOf(one, name, shown, all)), [runs, name, shown, all]);
  const title = objective && all.length > 1 ? `${label(name)} (${objective})` : label(name);
  return (
    <Chart title={title} unit={unit(name)} xLabel={alongWords[shown.axis]} curves={curves} log={shown.log} sync={`${sync}/${shown.axis}`} />
  );
}

function curveOf(one: RunCurves, name: string, { axis, smoothing }: Shown, all: readonly RunCurves[]): Curve[] {
  const figure = one.figures.find((each) => each.name === name);
  if (!figure) return [];
  const { mean, least, greatest } = figure;
  const band = all.length === 1 ? { least, greatest } : {};
  const names = new Set(all.map(({ run }) => run.spec?.name));
  // Where every run has a name of its own, that is shorter than its id.
  const short = names.size === all.length ? one.run.spec?.name : undefined;
  return [{ label: short || one.run.runId, x: along(figure, axis), y: smooth(mean, smoothing), ...band, color: all.indexOf(one) }];
}
