import { readFileSync } from "node:fs";
import type { Figure, Part } from "../../../../services/reproduce/plan/experiment.js";
import { recipes, training } from "../../../../services/reproduce/plan/recipes.js";
import type { AnalysedPart } from "../../../../services/reproduce/report/analyse.js";
import { openCharts } from "../../../../services/reproduce/report/charts.js";
import { estimate } from "../../../../services/reproduce/report/statistics.js";
import { contrast, grounds, parse, type Theme } from "../../../../services/shared/base/colors.js";
import { drawShown } from "../../../bench/figures/from-results.js";

const figure = (kind: Figure["kind"]): Figure => ({
  ...{ name: "f", title: "A title", kind, x: "over", y: "gain", percent: true },
  series: ["one", "two", "never run"].map((name, i) => ({
    name,
    points: [1, 2].map((x) => ({ arm: i === 2 ? "absent" : `${name}${x}`, x: kind === "bars" ? `at ${x}` : x, y: "gain" })),
  })),
});

const part: Part = { recipe: recipes[0]!, training, quick: {}, arms: [], columns: [], figures: [], orderings: [] };
const analysed: AnalysedPart = {
  part,
  arms: ["one1", "one2", "two1", "two2"].map((name, i) => ({
    name,
    hidden: false,
    measures: { gain: estimate([0.1 * i, 0.1 * i + 0.02]) },
  })),
  orderings: [],
};

const charts = await openCharts();
const { drawFigure, toPng } = charts;

describe("drawFigure()", () => {
  it.each(["bars", "lines"] as const)("draws %s with title, axes and the series that were run", (kind) => {
    const svg = drawFigure(figure(kind), analysed);
    expect(svg).toMatch(/^<svg [^>]*width="720" height="420"/);
    for (const text of ["A title", "over", "gain, %", "one", "two"]) expect(svg).toContain(`>${text}</text>`);
    expect(svg).not.toContain("never run");
  });

  const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, words]) => words);

  it("names curves beside their ends, and bars below them where the names are short, instead of in a legend", () => {
    for (const kind of ["bars", "lines"] as const)
      expect(texts(drawFigure(figure(kind), analysed)).filter((words) => words === "one")).toHaveLength(kind === "bars" ? 2 : 1);
  });

  /** Every colour of a drawing, in either theme: its attributes, or what its style sheet puts in their place. */
  const coloursOf = (svg: string, theme: Theme): string[] => {
    const darker = new Map([...svg.matchAll(/\[fill="(#\w+)"\]\{fill:(#\w+)\}/g)].map(([, from = "", to = ""]) => [from, to]));
    const drawn = [...svg.matchAll(/ (?:fill|stroke)="([^"]+)"/g)].flatMap(([, color = ""]) =>
      color === "none" || color === "transparent" ? [] : [color],
    );
    return [...new Set(drawn)].map((color) => (theme === "light" ? color : (darker.get(color) ?? `${color} stays`)));
  };

  it.each(["light", "dark"] as const)("has no colour that can't be seen in %s", (theme) => {
    for (const kind of ["bars", "lines"] as const)
      for (const ordered of [false, true]) {
        const colours = coloursOf(drawFigure({ ...figure(kind), ordered }, analysed), theme);
        const ground = parse(grounds[theme]);
        const faint = colours.filter((color) => !/^#\w{6}$/.test(color) || contrast(parse(color), ground) < 3);
        // The ground itself, and the grid, which is to be faint.
        expect([kind, ordered, faint.sort()]).toEqual([kind, ordered, [grounds[theme], theme === "light" ? "#e1e4e8" : "#2b3139"].sort()]);
      }
  });

  it("gives every bar a whisker of its standard error in its middle", () => {
    const svg = drawFigure(figure("bars"), analysed);
    const whiskers = [...svg.matchAll(/<path d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"[^>]*stroke="#1a1f26"/g)].map((match) =>
      match.slice(1).map(Number),
    );
    expect(whiskers).toHaveLength(4);
    const xs = whiskers.map(([x]) => x);
    expect(new Set(xs).size).toBe(4);
    for (const [x1, y1, x2, y2] of whiskers) {
      expect(x1).toBe(x2);
      // ± 0.01, in percent ± 1, on an axis of 0 to 35.
      expect(Math.abs(y1! - y2!)).toBeGreaterThan(5);
    }
  });
});

describe("the figures of the documents", () => {
  it("are drawn of the tables in RESULTS.md, as they are now: node dist/test/bench/figures/draw.js", () => {
    for (const [name, svg] of drawShown(charts))
      expect([name, readFileSync(`test/bench/figures/${name}.svg`, "utf8")]).toEqual([name, svg]);
  });
});

describe("toPng()", () => {
  it("draws twice the size, and text", () => {
    const png = Buffer.from(toPng(drawFigure(figure("lines"), analysed)));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([1440, 840]);
    const blank = toPng('<svg xmlns="http://www.w3.org/2000/svg" width="720" height="420"></svg>');
    const word = toPng(
      '<svg xmlns="http://www.w3.org/2000/svg" width="720" height="420"><text x="9" y="99" font-family="DejaVu Sans">word</text></svg>',
    );
    expect(word.length).toBeGreaterThan(blank.length);
  });
});
