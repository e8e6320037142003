import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { optionalPackage } from "../../shared/base/optional-package.js";
import type { Figure, Series } from "../plan/experiment.js";
import type { AnalysedPart } from "./analyse.js";
import type { Estimate } from "./statistics.js";

const [width, height] = [720, 420];
const font = "DejaVu Sans";
const fontFamily = `${font}, sans-serif`;

interface Drawn {
  readonly x: number;
  readonly y: Estimate;
}

/** What draws. */
export interface Charts {
  /** A figure as SVG text, drawn without a browser; bars and whiskers are ± one standard error over the seeds. */
  drawFigure(figure: Figure, part: AnalysedPart): string;
  /** An SVG as a PNG of twice its size. The font comes with a package, so that every machine draws the same. */
  toPng(svg: string): Uint8Array;
}

/** Loads the packages that draw. @throws FailedPrecondition if one of them is not installed */
export async function openCharts(): Promise<Charts> {
  const echarts = await optionalPackage("echarts", () => import("echarts"));
  const { Resvg } = await optionalPackage("@resvg/resvg-js", () => import("@resvg/resvg-js"));
  const require = createRequire(import.meta.url);
  const fonts = await optionalPackage("dejavu-fonts-ttf", async () => dirname(require.resolve("dejavu-fonts-ttf/package.json")));
  const fontFiles = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((file) => join(fonts, "ttf", file));
  return {
    drawFigure: (figure, part) => {
      const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
      chart.setOption(figure.kind === "bars" ? bars(figure, part) : lines(figure, part));
      const svg = chart.renderToSVGString();
      chart.dispose();
      return svg;
    },
    toPng: (svg) => {
      const image = new Resvg(svg, {
        background: "white",
        fitTo: { mode: "width", value: 2 * width },
        font: { fontFiles, loadSystemFonts: false, defaultFontFamily: font },
      });
      return image.render().asPng();
    },
  };
}

const common = ({ title, series }: Figure) => ({
  animation: false,
  backgroundColor: "#fff",
  textStyle: { fontFamily },
  title: { text: title, left: 8, top: 6, textStyle: { fontSize: 15, fontFamily } },
  legend: { top: 34, left: 8, itemGap: 26, show: series.length > 1, textStyle: { fontFamily } },
  grid: { top: series.length > 5 ? 104 : 84, left: 76, right: 28, bottom: 64 },
});

const axis = (name: string, gap: number) => ({ name, nameLocation: "middle" as const, nameGap: gap, nameTextStyle: { fontFamily } });
const scaled = (value: number, percent: boolean | undefined): number => (percent ? 100 * value : value);

function valueAxis({ y, percent }: Figure) {
  return { type: "value" as const, scale: true, ...axis(percent ? `${y}, %` : y, 52) };
}

function lines(figure: Figure, part: AnalysedPart) {
  const drawn = figure.series.map((one) => ({ one, points: pointsOf(one, part) })).filter(({ points }) => points.length > 0);
  return {
    ...common(figure),
    xAxis: { type: figure.logX ? ("log" as const) : ("value" as const), scale: true, ...axis(figure.x, 30) },
    yAxis: valueAxis(figure),
    series: drawn.flatMap(({ one, points }) => [
      {
        name: one.name,
        type: one.scatter ? ("scatter" as const) : ("line" as const),
        symbolSize: 7,
        data: points.map(({ x, y }) => [x, scaled(y.mean, figure.percent)]),
      },
      whiskers(
        one.name,
        points.map(({ x, y }) => [x, ...ends(y, figure.percent)]),
      ),
    ]),
  };
}

/** Widths of bars, shares of a bar and of a group; the whiskers must agree with them. */
const layout = { barGap: "20%", barCategoryGap: "24%" } as const;

function bars(figure: Figure, part: AnalysedPart) {
  const found = figure.series
    .map(({ name, points }) => ({
      name,
      values: new Map(points.flatMap(({ arm, x, y }) => entryOf(String(x), part.arms.find((one) => one.name === arm)?.measures[y]))),
    }))
    .filter(({ values }) => values.size > 0);
  const names = [...new Set(figure.series.flatMap(({ points }) => points.map(({ x }) => String(x))))];
  const shown = names.filter((x) => found.some(({ values }) => values.has(x)));
  return {
    ...common(figure),
    xAxis: { type: "category" as const, data: shown, ...axis(figure.x, 44), axisLabel: { interval: 0, fontFamily, fontSize: 11 } },
    yAxis: { ...valueAxis(figure), scale: false },
    series: [
      ...found.map(({ name, values }) => ({
        name,
        type: "bar" as const,
        ...layout,
        data: shown.map((x) => optional(values.get(x), ({ mean }) => scaled(mean, figure.percent)) ?? null),
      })),
      ...found.map(({ name, values }, i) =>
        whiskers(
          name,
          shown.flatMap((x, at) => optional(values.get(x), (value) => [[at, ...ends(value, figure.percent)]]) ?? []),
          { index: i, count: found.length },
        ),
      ),
    ],
  };
}

const entryOf = (x: string, value: Estimate | undefined): [string, Estimate][] => (value && !Number.isNaN(value.mean) ? [[x, value]] : []);

const optional = <T, R>(value: T | undefined, use: (value: T) => R): R | undefined => (value === undefined ? undefined : use(value));

/** A series' points whose arms were run, in order of x. */
function pointsOf({ points, scatter }: Series, { arms }: AnalysedPart): Drawn[] {
  const drawn = points.flatMap(({ arm, x, y }) => {
    const measures = arms.find(({ name }) => name === arm)?.measures;
    const across = typeof x === "number" ? x : measures?.[x]?.mean;
    const up = measures?.[y];
    return across === undefined || up === undefined ? [] : [{ x: across, y: up }];
  });
  // A curve over a measure keeps the order of its arms.
  return scatter || typeof points[0]?.x === "string" ? drawn : drawn.sort((a, b) => a.x - b.x);
}

function ends({ mean, standardError }: Estimate, percent: boolean | undefined): [number, number] {
  const error = Number.isNaN(standardError) ? 0 : standardError;
  return [scaled(mean - error, percent), scaled(mean + error, percent)];
}

interface Drawing {
  value(dimension: number): number;
  coord(point: readonly number[]): number[];
  visual(name: "color"): string;
  barLayout(options: typeof layout & { readonly count: number }): readonly { readonly offsetCenter: number }[];
}

/**
 * A vertical line from one end of the error to the other at each point.
 *
 * @param bar which bar of how many in a group it belongs to; absent for points of a line
 */
function whiskers(name: string, data: readonly (readonly number[])[], bar?: { readonly index: number; readonly count: number }) {
  return {
    name,
    type: "custom" as const,
    z: bar ? 3 : 1,
    data: data.map((row) => [...row]),
    encode: { x: 0, y: [1, 2] },
    renderItem: (_: unknown, api: Drawing) => {
      const [at = Number.NaN, low] = api.coord([api.value(0), api.value(1)]);
      const [, high] = api.coord([api.value(0), api.value(2)]);
      const x = at + (bar ? api.barLayout({ ...layout, count: bar.count })[bar.index]!.offsetCenter : 0);
      const style = { stroke: bar ? "#333" : api.visual("color"), lineWidth: 1.5 };
      return { type: "line" as const, shape: { x1: x, y1: low, x2: x, y2: high }, style };
    },
  };
}
