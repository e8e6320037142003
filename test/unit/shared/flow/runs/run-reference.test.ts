import { isRunReference, parseRunReference } from "../../../../../services/shared/flow/runs/run-reference.js";

describe("parseRunReference()", () => {
  it.each([
    ["run://last", { run: "last", which: "newest" }],
    ["run://gkd-251125-120000-abc/", { run: "gkd-251125-120000-abc", which: "newest" }],
    ["run://gkd/best", { run: "gkd", which: "best" }],
    ["run://gkd/40", { run: "gkd", which: 40 }],
  ])("reads %s", (text, expected) => {
    expect(isRunReference(text)).toBe(true);
    expect(parseRunReference(text)).toEqual(expected);
  });

  it.each(["run://", "run:///best", "run://a/worst", "run://a/best/1", "run://a/-1", "run://../a", "run://a/../b"])(
    "refuses %s",
    (text) => {
      const refused = () => parseRunReference(text);
      expect(refused).toThrow(/names no model of a run; write run:\/\/RUN/);
    },
  );
});
