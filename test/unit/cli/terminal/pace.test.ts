import { duration, Pace } from "../../../../services/cli/terminal/pace.js";

describe("Pace", () => {
  it("knows nothing before something is done", () => {
    const pace = new Pace();
    expect(pace.left(10)).toBeUndefined();
    pace.mark(0, 100);
    expect(pace.left(10)).toBeUndefined();
  });

  it("goes by the mean of the last twenty steps, not by all", () => {
    const pace = new Pace();
    const lengths = [...Array(30).fill(100), ...Array(10).fill([1, 3]).flat()] as number[];
    let seconds = 0;
    pace.mark(0, seconds);
    for (const [i, length] of lengths.entries()) {
      seconds += length;
      pace.mark(i + 1, seconds);
    }
    expect(pace.left(60)).toBeCloseTo(20, 10);
  });

  it("takes what comes in quick succession as one step", () => {
    const pace = new Pace();
    for (let done = 0; done <= 10_000; done++) pace.mark(done, done / 1000);
    // Twenty steps of a quarter of a second at least, not twenty thousandths.
    expect(pace.left(20_000)).toBeCloseTo(10, 6);
  });

  it("begins anew where the count does", () => {
    const pace = new Pace();
    for (let done = 0; done <= 5; done++) pace.mark(done, done);
    pace.mark(2, 50);
    expect(pace.left(10)).toBeUndefined();
    pace.mark(3, 52);
    expect(pace.left(10)).toBeCloseTo(14, 10);
  });

  it("never says that less than nothing is left", () => {
    const pace = new Pace();
    pace.mark(0, 0);
    pace.mark(5, 5);
    expect(pace.left(4)).toBe(0);
  });
});

describe("duration()", () => {
  it.each([
    [0.4, "0 s"],
    [59.4, "59 s"],
    [59.6, "1 min 0 s"],
    [185, "3 min 5 s"],
    [3600, "1 h 0 min"],
    [200_000, "2 d 7 h"],
  ])("says %d s as %s", (seconds, words) => expect(duration(seconds)).toBe(words));
});
