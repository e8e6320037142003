import { briefSchedule, faultKinds, kindOf, schedule } from "../../chaos/schedule.js";

describe("schedule()", () => {
  it("is a function of its seed", () => {
    const count = 60;
    expect(schedule({ seed: 7n, count })).toEqual(schedule({ seed: 7n, count }));
    expect(schedule({ seed: 7n, count })).not.toEqual(schedule({ seed: 8n, count }));
  });

  it("has every kind of fault before it has any again, each as long as its kind may last", () => {
    const faults = schedule({ seed: 3n, count: 2 * faultKinds.length });
    const half = faults.slice(0, faultKinds.length).map(kindOf);
    expect(new Set(half).size).toBe(faultKinds.length);
    for (const { deed, victim, holdMs } of faults) {
      const [, , from, to] = faultKinds.find(([d, v]) => d === deed && v === victim)!;
      expect(holdMs).toBeGreaterThanOrEqual(from);
      expect(holdMs).toBeLessThanOrEqual(to);
    }
    // Some strike while another lasts; never the first, which has none before it.
    expect(faults.filter(({ afterSteps }) => afterSteps === 0).length).toBeGreaterThan(0);
    expect(faults[0]!.afterSteps).toBeGreaterThan(0);
  });

  it("leaves out what cannot be done here", () => {
    expect(schedule({ seed: 1n, count: 100, without: ["fill", "freeze"] }).map(({ deed }) => deed)).not.toEqual(
      expect.arrayContaining(["fill"]),
    );
  });
});

describe("briefSchedule()", () => {
  it("strikes at any time of a run, in order", () => {
    const all = Array.from({ length: 50 }, (_, seed) => briefSchedule(BigInt(seed), 10_000, ["fill"]));
    const firsts = all.map(([first]) => first!.delayMs);
    expect(Math.min(...firsts)).toBeLessThan(2000);
    expect(Math.max(...firsts)).toBeGreaterThan(7000);
    for (const faults of all) {
      expect(faults.reduce((sum, { delayMs }) => sum + delayMs, 0)).toBeLessThanOrEqual(10_001);
      for (const { delayMs, afterSteps } of faults) expect([delayMs >= 0, afterSteps]).toEqual([true, 0]);
    }
  });
});
