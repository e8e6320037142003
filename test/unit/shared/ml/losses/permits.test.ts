import { divergences } from "../../../../../services/shared/ml/losses/divergences.js";
import { objectiveProblems } from "../../../../../services/shared/ml/losses/objective.js";
import { asksTeacher, isPermitted, type ObjectiveName, permits, refusal } from "../../../../../services/shared/ml/losses/permits.js";
import { rankDistances } from "../../../../../services/shared/ml/losses/ranked.js";
import { type SignalKind, signalKinds } from "../../../../../services/shared/ml/signals/table.js";
import { plainObjective } from "../../../../support/loss/loss.js";

const names = Object.keys(permits) as ObjectiveName[];

describe("permits", () => {
  it("says yes or no for every objective and signal there is", () => {
    expect(new Set(names)).toEqual(
      new Set([...Object.keys(divergences), ...Object.keys(rankDistances), "constant_advantage", "cross_entropy", "opd"]),
    );
    for (const kind of signalKinds)
      for (const name of ["constant_advantage", "cross_entropy"] as const) expect(isPermitted(name, kind)).toBe(true);
  });

  it("lets sampled give opd alone, and random_k the forward KL alone", () => {
    const given = (kind: SignalKind) => names.filter((name) => asksTeacher(name) && isPermitted(name, kind));
    expect(given("sampled")).toEqual(["opd"]);
    expect(given("random_k")).toEqual(["forward_kl"]);
    const distributions = names.filter((name) => asksTeacher(name) && !(name in rankDistances));
    for (const kind of ["full", "hidden", "student_top_k"] as const) expect(given(kind)).toEqual(distributions);
  });

  it("lets the teacher's most probable classes alone give what is compared by rank", () => {
    for (const name of Object.keys(rankDistances) as ObjectiveName[])
      expect(signalKinds.filter((kind) => isPermitted(name, kind))).toEqual(["top_k"]);
  });
});

describe("objectiveProblems()", () => {
  it.each<[ObjectiveName, SignalKind, RegExp]>([
    [
      "jsd",
      "sampled",
      /is sampled, which cannot give jsd; use one of full, hidden, student_top_k, top_k, or a divergence that sampled gives: opd/,
    ],
    ["reverse_kl", "random_k", /is random_k, which cannot give reverse_kl;.*random_k gives: forward_kl/],
    ["opd", "random_k", /is random_k, which cannot give opd/],
    ["uld", "full", /is full, which cannot give uld; use one of top_k, or a divergence that full gives/],
    ["uld", "student_top_k", /is student_top_k, which cannot give uld; use one of top_k/],
  ])("refuses %s from %s and says the way out", (divergence, signal, message) => {
    const [problem, ...others] = objectiveProblems({ ...plainObjective, divergence, signal });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ fieldPath: "objective.signal", description: expect.stringMatching(message) });
  });

  it("refuses the exact baseline of opd where no distribution is sent, and only the baseline", () => {
    expect(refusal("opd", "sampled", false)).toBeUndefined();
    expect(refusal("opd", "sampled", true)).toMatch(/opd with klBaseline/);
  });

  it.each<[SignalKind, number, number]>([
    ["top_k", 14, 13],
    ["student_top_k", 14, 13],
    ["random_k", 65_536, 65_535],
    ["top_k", 0, 13],
  ])("refuses %s with k = %d", (signal, k, highest) => {
    const [problem] = objectiveProblems({ ...plainObjective, signal, k }, 13);
    expect(problem).toMatchObject({
      fieldPath: "objective.topK",
      description: expect.stringContaining(`is ${k}; it must lie in [1, ${highest}`),
    });
  });

  it("does not ask for a teacher's signal where alpha is 0 or nothing is compared", () => {
    expect(objectiveProblems({ ...plainObjective, divergence: "reverse_kl", signal: "sampled", alpha: 0 })).toEqual([]);
    expect(objectiveProblems({ ...plainObjective, divergence: "cross_entropy", signal: "sampled" })).toEqual([]);
  });

  it.each(["studentTemperature", "teacherTemperature"] as const)("refuses a %s of 0", (field) => {
    expect(objectiveProblems({ ...plainObjective, [field]: 0 })).toMatchObject([{ fieldPath: `objective.${field}` }]);
  });
});
