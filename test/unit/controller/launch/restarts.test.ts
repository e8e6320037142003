import { causeOf, codeOfSignal, inWords, Restarts } from "../../../../services/controller/launch/restarts.js";

const limits = { maxRestarts: 2, windowMs: 60_000 };
const noted = (restarts: Restarts, code: number, times: number, everyMs: number, from = 0) =>
  Array.from({ length: times }, (_, i) => restarts.note(code, from + i * everyMs));

describe("causeOf()", () => {
  it.each([
    [78, "hopeless"],
    [66, "hopeless"],
    [130, "asked"],
    [143, "asked"],
    [codeOfSignal("SIGHUP"), "asked"],
    [codeOfSignal("SIGKILL"), "killed"],
    [137, "killed"],
    [69, "away"],
    [75, "away"],
    [0, "crashed"],
    [1, "crashed"],
    [70, "crashed"],
    [codeOfSignal("SIGSEGV"), "crashed"],
    [codeOfSignal("SIGABRT"), "crashed"],
  ])("of %i is %s", (code, cause) => {
    expect(causeOf(code)).toBe(cause);
  });
});

describe("Restarts", () => {
  it("end what crashes once too often within the window", () => {
    expect(noted(new Restarts(limits), 70, 3, 10_000).map(({ restart }) => restart)).toEqual([true, true, false]);
  });

  it("go on for ever with what crashes seldom", () => {
    expect(noted(new Restarts(limits), 70, 50, 31_000).every(({ restart }) => restart)).toBe(true);
  });

  it("let kills pass ten times as often, more and more slowly up to ten seconds, and say so after the third", () => {
    const verdicts = noted(new Restarts(limits), 137, 21, 2000);
    expect(verdicts.map(({ restart }) => restart)).toEqual([...Array<boolean>(20).fill(true), false]);
    expect(verdicts.slice(0, 7).map(({ delayMs }) => delayMs)).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    expect(verdicts.flatMap(({ warning, count }) => (warning ? [count] : []))).toEqual([3, 6, 12]);
    expect(verdicts[2]!.warning).toBe("was killed 3 times in 60 s; out of memory?");
  });

  it("do not mix kills with crashes", () => {
    const restarts = new Restarts(limits);
    noted(restarts, 137, 10, 100);
    expect(noted(restarts, 139, 2, 100).every(({ restart }) => restart)).toBe(true);
  });

  it("never give up what waits for something that is away, nor what is asked to leave", () => {
    const restarts = new Restarts({ ...limits, maxRestarts: 0 });
    expect(noted(restarts, 69, 200, 10).every(({ restart }) => restart)).toBe(true);
    expect(noted(restarts, 130, 200, 10).every(({ restart, count }) => restart && count === 0)).toBe(true);
    expect(restarts.note(70, 3000).restart).toBe(false);
  });

  it("end what has a bad input at once", () => {
    expect(new Restarts(limits).note(78, 0)).toMatchObject({ restart: false, cause: "hopeless" });
  });
});

describe("inWords()", () => {
  it.each([
    [600_000, "10 minutes"],
    [90_000, "1.5 minutes"],
    [60_000, "60 s"],
    [2500, "2.5 s"],
  ])("of %i ms is %s", (ms, words) => {
    expect(inWords(ms)).toBe(words);
  });
});
