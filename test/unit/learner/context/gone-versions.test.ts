import { goneAmong, goneWith } from "../../../../services/learner/context/gone-versions.js";
import { followedVersion, newestFollowed } from "../../../../services/shared/flow/runs/follow.js";

/** Everything that the steps may ask for that can still come when a version is announced. */
function asked(everySteps: number, maxStaleness: number, announced: number, fromStep: number): Set<number> {
  const ahead = Array.from({ length: maxStaleness + 1 }, (_, i) => announced + 1 + i);
  const students = ahead.flatMap((step) => Array.from({ length: maxStaleness + 1 }, (_, age) => step - 1 - age));
  const teachers = ahead.map((step) => followedVersion({ everySteps }, { step, maxStaleness, fromStep }));
  // A checkpoint takes the newest with it.
  return new Set(
    [...students, ...teachers, newestFollowed({ everySteps }, announced)].filter(
      (version) => version <= announced && version >= fromStep - maxStaleness - everySteps && version >= 0,
    ),
  );
}

const cases = [1, 2, 3, 7, 10].flatMap((everySteps) => [0, 1, 2, 5].map((maxStaleness) => ({ everySteps, maxStaleness })));

describe("goneWith()", () => {
  it.each(cases)(
    "of a teacher that follows every $everySteps steps, staleness $maxStaleness: all that may be asked for is there, and little else",
    ({ everySteps, maxStaleness }) => {
      const run = { follow: { teachers: ["default"], everySteps }, maxStaleness };
      const stored = new Set([0]);
      for (let version = 0; version <= 60; version++) {
        stored.add(version);
        for (const gone of goneWith(run, version)) expect(stored.delete(gone)).toBe(true);
        for (const wanted of asked(everySteps, maxStaleness, version, 0))
          expect([version, wanted, stored.has(wanted)]).toEqual([version, wanted, true]);
        expect(stored.size).toBeLessThanOrEqual(maxStaleness + 4 + Math.ceil(maxStaleness / everySteps));
      }
    },
  );

  it("of teachers that stay as they are: leaves what students may use", () => {
    expect(goneWith({ follow: undefined, maxStaleness: 1 }, 9)).toEqual([7]);
    expect(goneWith({ follow: undefined, maxStaleness: 1 }, 2)).toEqual([]);
  });
});

describe("goneAmong()", () => {
  it("clears away what an earlier learner left, but for what its checkpoint's teacher has", () => {
    const stored = Array.from({ length: 30 }, (_, version) => version);
    const kept = (everySteps: number, maxStaleness: number) => {
      const gone = goneAmong({ follow: { teachers: ["default"], everySteps }, maxStaleness }, 20, stored);
      return stored.filter((version) => !gone.includes(version));
    };
    expect(kept(6, 0)).toEqual([0, 18, 20]);
    expect(kept(100, 0)).toEqual([0, 20]);
    expect(kept(4, 2)).toEqual([0, 16, 18, 19, 20]);
  });
});
