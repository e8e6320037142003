import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { optionalPackage } from "../../shared/base/optional-package.js";
import type { Figure, Series } from "../plan/experiment.js";
import type { AnalysedPart } from "./analyse.js";
import { type Palette, paletteOf } from "./palette.js";
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
      const { option, palette } = figure.kind === "bars" ? bars(figure, part) : lines(figure, part);
      chart.setOption(option);
      const svg = chart.renderToSVGString();
      chart.dispose();
      return palette.adaptive(svg);
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

/** What a chart is drawn of. */
interface Sheet {
  readonly figure: Figure;
  readonly palette: Palette;
  /** Names stand beside what they name. */
  readonly direct: boolean;
}

const text = (color: string, fontSize: number) => ({ color, fontSize, fontFamily });

const common = ({ figure: { title, series }, palette, direct }: Sheet) => ({
  animation: false,
  backgroundColor: palette.ground,
  color: [...palette.series],
  textStyle: { fontFamily },
  title: { text: title, left: 8, top: 6, textStyle: text(palette.ink, 15) },
  legend: { top: 34, left: 8, itemGap: 26, show: !direct && series.length > 1, textStyle: text(palette.ink, 12) },
  grid: { top: direct || series.length < 2 ? 48 : series.length > 5 ? 104 : 84, left: 76, right: 28, bottom: 64 },
});

function axis(name: string, gap: number, { soft, grid }: Palette) {
  return {
    ...{ name, nameLocation: "middle" as const, nameGap: gap, nameTextStyle: text(soft, 12) },
    axisLabel: text(soft, 12),
    axisLine: { lineStyle: { color: soft } },
    axisTick: { lineStyle: { color: soft } },
    splitLine: { lineStyle: { color: grid } },
  };
}

const scaled = (value: number, percent: boolean | undefined): number => (percent ? 100 * value : value);

function valueAxis({ figure: { y, percent }, palette }: Sheet) {
  return { type: "value" as const, scale: true, ...axis(percent ? `${y}, %` : y, 52, palette) };
}

/** Room for a name at the right, in pixels. */
const roomOf = (names: readonly string[]): number => 16 + 7.2 * Math.max(...names.map(({ length }) => length));

function lines(figure: Figure, part: AnalysedPart) {
  const drawn = figure.series.map((one) => ({ one, points: pointsOf(one, part) })).filter(({ points }) => points.length > 0);
  const sheet = { figure, palette: paletteOf(drawn.length, figure.ordered ?? false), direct: true };
  const { palette } = sheet;
  const named = drawn.length > 1;
  const { grid, ...rest } = common(sheet);
  const option = {
    ...rest,
    grid: { ...grid, right: named ? Math.max(28, roomOf(drawn.map(({ one }) => one.name))) : grid.right },
    xAxis: { type: figure.logX ? ("log" as const) : ("value" as const), scale: true, ...axis(figure.x, 30, palette) },
    yAxis: valueAxis(sheet),
    series: drawn.flatMap(({ one, points }, i) => {
      const color = cycled(palette, i);
      const label = {
        show: named,
        position: "right" as const,
        formatter: one.name,
        distance: 8,
        ...text(figure.ordered ? palette.ink : color, 12),
      };
      const data = points.map(({ x, y }) => [x, scaled(y.mean, figure.percent)]);
      const common = {
        name: one.name,
        symbol: "circle",
        symbolSize: 7,
        data,
        itemStyle: { color, opacity: 1 },
        labelLayout: { moveOverlap: "shiftY" as const },
      };
      return [
        one.scatter
          ? { ...common, type: "scatter" as const, label }
          : { ...common, type: "line" as const, lineStyle: { color, width: 2 }, endLabel: label },
        whiskers(
          one.name,
          color,
          points.map(({ x, y }) => [x, ...ends(y, figure.percent)]),
        ),
      ];
    }),
  };
  return { option, palette };
}

/** Widths of bars, shares of a bar and of a group; the whiskers must agree with them. */
const layout = { barGap: "20%", barCategoryGap: "24%" } as const;

/** Letters of a name that fits below its bar. */
const shortName = 6;

function bars(figure: Figure, part: AnalysedPart) {
  const found = figure.series
    .map(({ name, points }) => ({
      name,
      values: new Map(points.flatMap(({ arm, x, y }) => entryOf(String(x), part.arms.find((one) => one.name === arm)?.measures[y]))),
    }))
    .filter(({ values }) => values.size > 0);
  const names = [...new Set(figure.series.flatMap(({ points }) => points.map(({ x }) => String(x))))];
  const shown = names.filter((x) => found.some(({ values }) => values.has(x)));
  const direct = found.length > 1 && found.every(({ name }) => name.length <= shortName);
  const sheet = { figure, palette: paletteOf(found.length, figure.ordered ?? false), direct };
  const { palette } = sheet;
  const across = axis(figure.x, direct ? 54 : 44, palette);
  const option = {
    ...common(sheet),
    xAxis: {
      ...{ type: "category" as const, data: shown, ...across },
      axisLabel: { ...text(palette.ink, 11), interval: 0, margin: direct ? 26 : 8 },
    },
    yAxis: { ...valueAxis(sheet), scale: false },
    series: found.flatMap(({ name, values }, i) => {
      const bar = { index: i, count: found.length };
      return [
        {
          ...{ name, type: "bar" as const, ...layout, itemStyle: { color: cycled(palette, i) } },
          data: shown.map((x) => optional(values.get(x), ({ mean }) => scaled(mean, figure.percent)) ?? null),
        },
        whiskers(
          name,
          palette.ink,
          shown.flatMap((x, at) => optional(values.get(x), (value) => [[at, ...ends(value, figure.percent)]]) ?? []),
          bar,
        ),
        ...(direct ? [belowBars(name, shown.length, bar, palette.soft)] : []),
      ];
    }),
  };
  return { option, palette };
}

const cycled = ({ series }: Palette, i: number): string => series[i % series.length] ?? "";

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

/** Which bar of how many in a group. */
interface Bar {
  readonly index: number;
  readonly count: number;
}

interface Drawing {
  value(dimension: number): number;
  coord(point: readonly number[]): number[];
  barLayout(options: typeof layout & { readonly count: number }): readonly { readonly offsetCenter: number }[];
}

const centreOf = (api: Drawing, { index, count }: Bar): number => api.barLayout({ ...layout, count })[index]?.offsetCenter ?? 0;

/**
 * A vertical line from one end of the error to the other at each point.
 *
 * @param bar which one it belongs to; absent for points of a line
 */
function whiskers(name: string, stroke: string, data: readonly (readonly number[])[], bar?: Bar) {
  return {
    name,
    type: "custom" as const,
    z: bar ? 3 : 1,
    data: data.map((row) => [...row]),
    encode: { x: 0, y: [1, 2] },
    renderItem: (_: unknown, api: Drawing) => {
      const [at = Number.NaN, low] = api.coord([api.value(0), api.value(1)]);
      const [, high] = api.coord([api.value(0), api.value(2)]);
      const x = at + (bar ? centreOf(api, bar) : 0);
      return { type: "line" as const, shape: { x1: x, y1: low, x2: x, y2: high }, style: { stroke, fill: "none", lineWidth: 1.5 } };
    },
  };
}

/** The name of a series below each of its bars, above those of the groups. */
function belowBars(name: string, groups: number, bar: Bar, fill: string) {
  return {
    name,
    type: "custom" as const,
    data: Array.from({ length: groups }, (_, i) => [i, 0]),
    encode: { x: 0, y: [] },
    clip: false,
    renderItem: (_: unknown, api: Drawing) => {
      const [at = Number.NaN] = api.coord([api.value(0), 0]);
      const style = { text: name, fill, font: `10px ${fontFamily}`, align: "center" as const, verticalAlign: "top" as const };
      return { type: "text" as const, x: at + centreOf(api, bar), y: height - 64 + 8, style };
    },
  };
}
