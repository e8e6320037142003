import type { Figure, Part } from "../../../../services/reproduce/plan/experiment.js";
import { recipes, training } from "../../../../services/reproduce/plan/recipes.js";
import type { AnalysedPart } from "../../../../services/reproduce/report/analyse.js";
import { openCharts } from "../../../../services/reproduce/report/charts.js";
import { estimate } from "../../../../services/reproduce/report/statistics.js";

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

const { drawFigure, toPng } = await openCharts();

describe("drawFigure()", () => {
  it.each(["bars", "lines"] as const)("draws %s with title, axes and the series that were run", (kind) => {
    const svg = drawFigure(figure(kind), analysed);
    expect(svg).toMatch(/^<svg [^>]*width="720" height="420"/);
    for (const text of ["A title", "over", "gain, %", "one", "two"]) expect(svg).toContain(`>${text}</text>`);
    expect(svg).not.toContain("never run");
  });

  it("gives every bar a whisker of its standard error in its middle", () => {
    const svg = drawFigure(figure("bars"), analysed);
    const whiskers = [...svg.matchAll(/<path d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"[^>]*stroke="#333"/g)].map((match) =>
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
