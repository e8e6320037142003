import fc from "fast-check";
import { StopFilter } from "../../../../services/shared/openai/stops.js";

/** What is passed on of a text that comes in pieces. */
function passed(pieces: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } {
  const filter = new StopFilter(stops);
  let text = "";
  for (const piece of pieces) text += filter.push(piece);
  if (!filter.stopped) text += filter.end();
  return { text, stopped: filter.stopped };
}

describe("StopFilter", () => {
  it("passes on what is before the first stop, however the text comes", () => {
    const letters = (most: number) => fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: most });
    fc.assert(
      fc.property(fc.array(letters(4), { maxLength: 12 }), fc.array(letters(3), { maxLength: 3 }), (pieces, stops) => {
        const whole = pieces.join("");
        const at = Math.min(...stops.map((stop) => whole.indexOf(stop)).filter((found) => found >= 0), whole.length);
        const found = stops.some((stop) => whole.includes(stop));
        expect(passed(pieces, stops)).toEqual({ text: whole.slice(0, at), stopped: found });
      }),
      { seed: 11 },
    );
  });

  it("holds back only what may become a stop", () => {
    const filter = new StopFilter(["\n\n"]);
    expect([filter.push("one\n"), filter.push("two"), filter.push("\n"), filter.push("\nthree"), filter.stopped]).toEqual([
      "one",
      "\ntwo",
      "",
      "",
      true,
    ]);
  });
});
