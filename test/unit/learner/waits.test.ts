import { Waits } from "../../../services/learner/waits.js";

describe("Waits", () => {
  let ms: number;
  let waits: Waits;
  beforeEach(() => {
    ms = 0;
    waits = new Waits(() => ms);
  });
  const missing = (counts: Readonly<Record<string, number>>) => new Map(Object.entries(counts));

  it("counts a wait from when it was first missed, however much of it arrives meanwhile", () => {
    waits.set("results of 3", missing({ student: 4 }));
    ms = 2000;
    waits.set("results of 3", missing({ student: 1, "teacher t": 3 }));
    ms = 5000;
    expect(waits.now()).toEqual([
      { on: "student", seconds: 5, missing: 1 },
      { on: "teacher t", seconds: 3, missing: 3 },
    ]);
  });

  it("forgets who owes nothing any more, and begins anew with the next wait", () => {
    waits.set("results of 3", missing({ student: 4 }));
    ms = 2000;
    waits.set("results of 3", missing({}));
    expect(waits.now()).toEqual([]);
    waits.set("results of 4", missing({ student: 4 }));
    ms = 3000;
    expect(waits.now()).toEqual([{ on: "student", seconds: 1, missing: 4 }]);
  });

  it("keeps waits of different kinds apart", () => {
    waits.set("results of 3", missing({ student: 1 }));
    waits.set("the checkpoint of step 2", missing({ disk: 1 }));
    waits.set("results of 3", missing({}));
    expect(waits.now()).toEqual([{ on: "disk", seconds: 0, missing: 1 }]);
  });
});
