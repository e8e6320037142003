import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { categorical, grounds } from "../../shared/base/colors.js";
import { number, tick } from "../model/format.js";
import { theme } from "../state.js";

/** A curve of a chart. The arrays have one length. */
export interface Curve {
  readonly label: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Least and greatest of what a point stands for: a band around the curve. */
  readonly least?: readonly number[];
  readonly greatest?: readonly number[];
  /** Which colour of the palette. */
  readonly color: number;
}

interface ChartProps {
  readonly title: string;
  readonly unit: string;
  readonly xLabel: string;
  readonly curves: readonly Curve[];
  readonly log: boolean;
  /** Charts of one name move their cursors together. */
  readonly sync: string;
}

const height = 210;
/** Room at the right for the curves' names. */
const roomOf = (width: number, curves: readonly Curve[]): number =>
  Math.min(16 + 6.5 * Math.max(...curves.map(({ label }) => label.length)), 170, Math.round(width / 3));

/** A chart of curves over one axis. Arrow keys move the cursor, whose values stand above. */
export function Chart({ title, unit, xLabel, curves, log, sync }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot>(undefined);
  const look = theme.value;
  const direct = curves.length > 1;
  const shape = JSON.stringify([title, xLabel, log, look, sync, curves.map(({ label, color, least }) => [label, color, !!least])]);
  // Not the curves: `shape` stands for all that a plot can't take up later
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const say = (u: uPlot) => readout.current?.replaceChildren(atCursor(u, curves, xLabel));
    const made = new uPlot(options({ curves, log, sync, look, direct, width: element.clientWidth, say }), table(curves, log), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(table(curves, log)), [curves, log]);
  const last = curves.map(({ label, y }) => (direct ? `${label} ` : "") + number(y.findLast(Number.isFinite))).join(", ");
  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b> {unit && <span class="small">{unit}</span>} <span class="value">{direct ? "" : last}</span>
        <span class="readout" ref={readout} />
      </figcaption>
      <div
        ref={box}
        class="plot"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move its cursor
        tabIndex={0}
        role="img"
        aria-label={`${title} over ${xLabel}; now ${last}. Arrow keys move the cursor.`}
        onKeyDown={(event) => moveCursor(plot.current, event)}
      />
    </figure>
  );
}

/** All curves over the union of their places, as uPlot takes it: per curve mean, and least and greatest if it has them. */
function table(curves: readonly Curve[], log: boolean): uPlot.AlignedData {
  const shown = (values: readonly number[]) => values.map((value) => (Number.isFinite(value) && (!log || value > 0) ? value : null));
  const tables = curves.map(
    ({ x, y, least, greatest }) => [[...x], shown(y), ...(least && greatest ? [shown(least), shown(greatest)] : [])] as uPlot.AlignedData,
  );
  return tables.length === 1 && tables[0] ? tables[0] : uPlot.join(tables);
}

interface Drawn {
  readonly curves: readonly Curve[];
  readonly log: boolean;
  readonly sync: string;
  readonly look: "light" | "dark";
  readonly direct: boolean;
  readonly width: number;
  readonly say: (u: uPlot) => void;
}

function options({ curves, log, sync, look, direct, width, say }: Drawn): uPlot.Options {
  const palette = categorical[look];
  const ink = look === "light" ? "#4a525c" : "#b4bcc6";
  const axis = {
    stroke: ink,
    grid: { stroke: look === "light" ? "#e7e9ec" : "#282d35", width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const { label, color, least } of curves) {
    const stroke = palette[color % palette.length] ?? ink;
    series.push({ label, stroke, width: 1.5, spanGaps: true, points: { show: (u) => u.data[0].length < 40, size: 5 } });
    if (!least) continue;
    const at = series.length;
    const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: true };
    series.push(edge, edge);
    bands.push({ series: [at + 1, at], fill: `${stroke}2e` });
  }
  return {
    width,
    height,
    series,
    bands,
    legend: { show: false },
    padding: [8, direct ? (u) => roomOf(u.width, curves) : 12, 0, 0],
    scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map(tick) },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(tick) },
    ],
    cursor: { sync: { key: sync }, y: false, drag: { x: true, y: false }, points: { size: 6 } },
    hooks: { setCursor: [say], draw: direct ? [(u) => drawLabels(u, curves, palette, grounds[look])] : [] },
  };
}

/** Writes each curve's name beside its end; names that would cover each other are moved apart. */
function drawLabels(u: uPlot, curves: readonly Curve[], palette: readonly string[], ground: string): void {
  const ratio = devicePixelRatio;
  const places = curves.flatMap(({ label, y, color }) => {
    const value = y.findLast(Number.isFinite);
    return value === undefined ? [] : [{ label, color, at: u.valToPos(value, "y", true) }];
  });
  places.sort((a, b) => a.at - b.at);
  const { ctx } = u;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui`;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  const room = (roomOf(u.width, curves) - 10) * ratio;
  let above = Number.NEGATIVE_INFINITY;
  for (const { label, color, at } of places) {
    const y = Math.max(at, above + 13 * ratio);
    above = y;
    const x = u.bbox.left + u.bbox.width + 6 * ratio;
    ctx.fillStyle = palette[color % palette.length] ?? ground;
    ctx.fillText(shortened(ctx, label, room), x, y);
  }
  ctx.restore();
}

function shortened(ctx: CanvasRenderingContext2D, label: string, room: number): string {
  for (let kept = label.length; kept > 4; kept--) {
    const text = kept === label.length ? label : `${label.slice(0, Math.ceil(kept / 2))}…${label.slice(-Math.floor(kept / 2))}`;
    if (ctx.measureText(text).width <= room) return text;
  }
  return label.slice(0, 4);
}

function atCursor(u: uPlot, curves: readonly Curve[], xLabel: string): string {
  const { idx } = u.cursor;
  if (idx === null || idx === undefined) return "";
  const x = u.data[0][idx];
  let at = 1;
  const values = curves.map(({ label, least }) => {
    const value = number(u.data[at]?.[idx] ?? undefined);
    at += least ? 3 : 1;
    return curves.length > 1 ? `${label} ${value}` : value;
  });
  return `${xLabel} ${number(x)}: ${values.join(", ")}`;
}

function moveCursor(u: uPlot | undefined, event: KeyboardEvent): void {
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY }[
    event.key
  ];
  if (!u || by === undefined) return;
  event.preventDefault();
  const last = u.data[0].length - 1;
  const index = Math.min(last, Math.max(0, (u.cursor.idx ?? last) + by));
  u.setCursor({ left: u.valToPos(u.data[0][index] ?? 0, "x"), top: 0 });
}
