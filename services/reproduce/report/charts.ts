import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { optionalPackage } from "../../shared/base/optional-package.js";
import type { Figure, Series } from "../plan/experiment.js";
import type { AnalysedPart } from "./analyse.js";
import { belowBars, besidePoints, family, font, layout, roomOf, whiskers } from "./marks.js";
import { type Palette, paletteOf } from "./palette.js";
import type { Estimate } from "./statistics.js";

const [width, height] = [720, 420];

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
      const { option, palette, sheet } = figure.kind === "bars" ? bars(figure, part) : lines(figure, part);
      const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height: heightOf(sheet) });
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
  /** Names that a legend has, one below the other; none where they stand beside what they name. */
  readonly legend: readonly string[];
}

/** Height of a line of a legend, in pixels. */
const legendLine = 20;

const heightOf = ({ legend }: Sheet): number => height + legendLine * legend.length;

const text = (color: string, fontSize: number) => ({ color, fontSize, fontFamily: family });

const common = ({ figure: { title }, palette, legend }: Sheet) => ({
  animation: false,
  backgroundColor: palette.ground,
  color: [...palette.series],
  textStyle: { fontFamily: family },
  title: { text: title, left: 8, top: 6, textStyle: text(palette.ink, 15) },
  legend: {
    ...{ show: legend.length > 0, data: [...legend], orient: "vertical" as const, align: "left" as const },
    ...{ top: 34, left: 8, itemGap: legendLine - 14, itemHeight: 12, textStyle: text(palette.ink, 12) },
  },
  grid: { top: 48 + legendLine * legend.length, left: 76, right: 28, bottom: 64 },
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

function lines(figure: Figure, part: AnalysedPart) {
  const drawn = figure.series.map((one) => ({ one, points: pointsOf(one, part) })).filter(({ points }) => points.length > 0);
  const sheet: Sheet = { figure, palette: paletteOf(drawn.length, figure.ordered ?? false), legend: [] };
  const { palette } = sheet;
  const named = drawn.length > 1 ? drawn : [];
  const { grid, ...rest } = common(sheet);
  const option = {
    ...rest,
    grid: { ...grid, right: Math.max(grid.right, ...named.map(({ one }) => roomOf(one.name))) },
    xAxis: { type: figure.logX ? ("log" as const) : ("value" as const), scale: true, ...axis(figure.x, 30, palette) },
    yAxis: valueAxis(sheet),
    series: drawn.flatMap(({ one, points }, i) => {
      const color = cycled(palette, i);
      const data = points.map(({ x, y }) => [x, scaled(y.mean, figure.percent)]);
      const common = {
        name: one.name,
        symbol: "circle",
        symbolSize: 7,
        data,
        itemStyle: { color, opacity: 1 },
      };
      return [
        one.scatter ? { ...common, type: "scatter" as const } : { ...common, type: "line" as const, lineStyle: { color, width: 2 } },
        whiskers(
          one.name,
          color,
          points.map(({ x, y }) => [x, ...ends(y, figure.percent)]),
        ),
      ];
    }),
  };
  const names = named.map(({ one, points }, i) => {
    const { x, y } = points.at(-1) ?? { x: 0, y: { mean: 0 } };
    return { name: one.name, color: figure.ordered ? palette.ink : cycled(palette, i), x, y: scaled(y.mean, figure.percent) };
  });
  return { option: { ...option, series: [...option.series, besidePoints(names)] }, palette, sheet };
}

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
  const legend = found.length > 1 && !direct ? found.map(({ name }) => name) : [];
  const sheet: Sheet = { figure, palette: paletteOf(found.length, figure.ordered ?? false), legend };
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
        ...(direct ? [belowBars(name, shown.length, bar, { fill: palette.soft, y: heightOf(sheet) - 56 })] : []),
      ];
    }),
  };
  return { option, palette, sheet };
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
