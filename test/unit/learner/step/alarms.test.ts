import { Alarms, endOf } from "../../../../services/learner/step/alarms.js";
import { RetortError } from "../../../../services/shared/base/errors.js";

const fine = { loss: 1, gradientNorm: 2, mismatchKl: 1e-6 };
/** Steps at which each kind was said. */
function said(synchronous: boolean, figures: readonly Partial<typeof fine>[]): string[] {
  const alarms = new Alarms(synchronous);
  return figures.flatMap((one, i) => alarms.of(i + 1, { ...fine, ...one }).map(({ kind }) => `${i + 1} ${kind}`));
}

describe("Alarms", () => {
  it("say nothing of a sound step, rounding of the mismatch included", () => {
    expect(said(true, [{}, { mismatchKl: 0 }, { mismatchKl: -1e-9 }, { mismatchKl: 5e-3 }])).toEqual([]);
  });

  it.each<[string, Partial<typeof fine>, string]>([
    ["a loss that is NaN", { loss: Number.NaN }, "loss"],
    ["an infinite gradient", { gradientNorm: Number.POSITIVE_INFINITY }, "gradient-norm"],
    ["a mismatch that is NaN", { mismatchKl: Number.NaN }, "mismatch-not-finite"],
    ["a mismatch without bound", { mismatchKl: Number.POSITIVE_INFINITY }, "mismatch-not-finite"],
  ])("say %s in any run", (_, figures, kind) => {
    for (const synchronous of [true, false]) expect(said(synchronous, [figures])).toEqual([`1 ${kind}`]);
  });

  it("say a mismatch far from 0 in a synchronous run alone, with step and size", () => {
    expect(said(true, [{ mismatchKl: 0.02 }])).toEqual(["1 mismatch"]);
    expect(said(false, [{ mismatchKl: 0.02 }])).toEqual([]);
    expect(new Alarms(true).of(7, { ...fine, mismatchKl: 0.0234567 })[0]!.message).toMatch(
      /^step 7: the mismatch KL is 0\.0235 nats per token/,
    );
  });

  it("say each kind once, and again after it was over", () => {
    const bad = { mismatchKl: 1 };
    expect(said(true, [bad, bad, { mismatchKl: Number.NaN }, bad, {}, {}, bad, bad])).toEqual([
      "1 mismatch",
      "3 mismatch-not-finite",
      "4 mismatch",
      "7 mismatch",
    ]);
  });
});

describe("endOf()", () => {
  it("names the step that ended a run, and alarms only where numbers went wrong", async () => {
    const said: string[] = [];
    const alarm = async (id: string, message: string) => void said.push(`${id}: ${message}`);
    const end = (code: "DataLoss" | "Cancelled") => endOf(4, new RetortError(code, "loss NaN"), alarm);
    await expect(end("DataLoss")).rejects.toMatchObject({ code: "DataLoss", retry: "never", message: "step 4: loss NaN" });
    await expect(end("Cancelled")).rejects.toMatchObject({ code: "Cancelled", message: "step 4: loss NaN" });
    expect(said).toEqual(["stopped/4: step 4: loss NaN"]);
  });
});
