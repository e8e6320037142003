import type { Part } from "../../../../services/reproduce/plan/experiment.js";
import { recipes, training } from "../../../../services/reproduce/plan/recipes.js";
import type { AnalysedPart } from "../../../../services/reproduce/report/analyse.js";
import { allMarkdown, paragraph, show, table } from "../../../../services/reproduce/report/markdown.js";
import { estimate } from "../../../../services/reproduce/report/statistics.js";

const part: Part = { recipe: recipes[0]!, training, quick: {}, arms: [], columns: [], figures: [], orderings: [] };
const analysed: AnalysedPart = { part, arms: [], orderings: [] };

describe("show()", () => {
  it.each([
    [[0.25, 0.27], "percent", "26.0 ± 1.0 %"],
    [[1.5], "number", "1.500"],
    [[2.5e9, 2.5e9], "flops", "2.5 ± 0.0 GFLOP"],
    [[120, 122], "seconds", "121 ± 1.000 s"],
    [[], "number", "–"],
  ] as const)("of %j as %s is %s", (values, format, text) => {
    expect(show(estimate(values), format)).toBe(text);
  });
});

describe("table()", () => {
  it("is Markdown with even columns", () => {
    expect(table(["", "b"], [["long", "1"]])).toBe("|      | b   |\n| ---- | --- |\n| long | 1   |");
  });
});

describe("paragraph()", () => {
  const both = [
    { says: "a > b", measure: "gain", format: "number", estimate: estimate([0.1, 0.12]), verdict: "shown" },
    { says: "b > c", measure: "gain", format: "number", estimate: estimate([-0.2]), verdict: "absent" },
  ] as const;

  it("says what was meant to show, whether it did, and by how much", () => {
    expect(paragraph({ id: "O1", says: "it grows", verdict: "partly shown", contrasts: both })).toBe(
      "O1, it grows: **partly shown**. It holds beyond the noise for a > b (+0.110 ± 0.010). It does not show for b > c (-0.200).",
    );
  });

  it("names the measures where there are several, and counts percentages in points", () => {
    const contrasts = [both[0], { ...both[1], measure: "greedy", format: "percent" as const }];
    expect(paragraph({ id: "O1", says: "it grows", verdict: "partly shown", contrasts })).toMatch(
      /for a > b \(gain \+0\.110 ± 0\.010\)\. It does not show for b > c \(greedy -20\.0 points\)\.$/,
    );
  });
});

describe("allMarkdown()", () => {
  it("begins with every ordering's verdict, and finds each report's figures in its folder", () => {
    const orderings = [{ id: "O1", says: "it grows", verdict: "shown" as const, contrasts: [] }];
    const experiment = { name: "lambda", title: "Lambda", about: "", parts: [part] };
    const analysis = { experiment, parts: [{ ...analysed, orderings }] };
    const markdown = allMarkdown([{ analysis, markdown: "# Lambda\n\n## calculator\n\n![Curve](calculator-curve.svg)\n" }]);
    expect(markdown).toMatch(/\| lambda +\| calculator \| O1: it grows \| shown +\|/);
    expect(markdown).toMatch(/\n## Lambda\n\n### calculator\n\n!\[Curve\]\(lambda\/calculator-curve\.svg\)/);
  });
});
