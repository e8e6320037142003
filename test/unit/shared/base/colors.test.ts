import { categorical, contrast, grounds, heat, ink, ordered, parse, type Theme } from "../../../../services/shared/base/colors.js";

const themes: readonly Theme[] = ["light", "dark"];

describe("contrast()", () => {
  it("is WCAG's", () => {
    expect(contrast([0, 0, 0], [255, 255, 255])).toBeCloseTo(21, 5);
    // The lightest grey that may carry text on white.
    expect(contrast(parse("#767676"), parse("#ffffff"))).toBeCloseTo(4.54, 2);
  });
});

describe("curves", () => {
  it.each(themes)("can be told from the ground in %s", (theme) => {
    const low = categorical[theme].filter((color) => contrast(parse(color), parse(grounds[theme])) < 4.5);
    expect(low).toEqual([]);
  });
});

describe("ordered()", () => {
  it.each(themes)("grows stronger, and can be seen from the first on, in %s", (theme) => {
    const strengths = ordered(theme, 6).map((color) => contrast(parse(color), parse(grounds[theme])));
    expect(strengths).toEqual([...strengths].sort((a, b) => a - b));
    expect(strengths[0]).toBeGreaterThanOrEqual(3);
    expect(ordered(theme, 1)).toEqual(ordered(theme, 6).slice(-1));
  });
});

describe("tokens", () => {
  it.each(themes)("can be read on every colour of both scales in %s", (theme) => {
    for (let i = -100; i <= 100; i++)
      for (const around of ["zero", "least"] as const) {
        const ground = heat(theme, i / 100, around);
        expect(contrast(parse(ink(ground)), ground)).toBeGreaterThanOrEqual(4.5);
      }
  });

  it.each(themes)("of nothing are on the ground itself in %s", (theme) => {
    expect([heat(theme, 0, "least"), heat(theme, 0, "zero")]).toEqual([parse(grounds[theme]), parse(grounds[theme])]);
  });

  it("grow no stronger beyond the scale's end", () => {
    expect(heat("light", 7, "least")).toEqual(heat("light", 1, "least"));
    expect(heat("light", -7, "zero")).toEqual(heat("light", -1, "zero"));
  });
});
