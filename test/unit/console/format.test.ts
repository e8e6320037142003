import { duration, number, percent, short, tick, utc, visible } from "../../../services/console/model/format.js";

describe("number()", () => {
  it.each([
    [undefined, "–"],
    [Number.NaN, "–"],
    [Number.POSITIVE_INFINITY, "∞"],
    [0, "0"],
    [0.32064, "0.3206"],
    [-1.5, "−1.500"],
    [123.456, "123.5"],
    [50_000, "50 000"],
    [0.00012, "1.20e−4"],
    [12_345_678, "1.23e7"],
  ])("writes %p as %p", (value, text) => {
    expect(number(value)).toBe(text);
  });
});

describe("short()", () => {
  it.each([
    [3264, "3 264"],
    [95_104n, "95 104"],
    [134_515_008n, "134.5M"],
  ])("writes %p as %p", (count, text) => {
    expect(short(count)).toBe(text);
  });
});

describe("tick()", () => {
  it.each([
    [null, ""],
    [0.8, "0.8"],
    [0.1 + 0.2, "0.3"],
    [20_000, "20 000"],
    [0.0001, "1e−4"],
    [-2, "−2"],
  ])("writes %p as %p", (value, text) => {
    expect(tick(value)).toBe(text);
  });
});

describe("duration()", () => {
  it.each([
    [undefined, "–"],
    [4.24, "4.2 s"],
    [59.7, "1 min 00 s"],
    [200, "3 min 20 s"],
    [7500, "2 h 05 min"],
  ])("writes %p as %p", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});

describe("visible()", () => {
  it("shows what can't be seen", () => {
    expect(visible(" a\n\tb\u0000")).toBe("␣a⏎⇥b␀");
  });
});

describe("percent() and utc()", () => {
  it("have one form", () => {
    expect([percent(0.375), percent(undefined), utc(0), utc(undefined)]).toEqual(["37.5 %", "–", "1970-01-01 00:00:00 UTC", "–"]);
  });
});
