import { placeOf } from "../../../../../services/shared/flow/runs/process-reporter.js";
import { WorkClock } from "../../../../../services/shared/flow/runs/work-clock.js";
import { Work } from "../../../../../services/shared/gen/retort/v1/events_pb.js";

describe("WorkClock", () => {
  let ms: number;
  let clock: WorkClock;
  beforeEach(() => {
    ms = 0;
    clock = new WorkClock("prompts", () => ms);
  });

  it("waits for its messages with nothing in hand", () => {
    ms = 3000;
    expect(clock.current).toMatchObject({ work: Work.WAITING, message: "prompts" });
    expect(clock.take()).toEqual({ workSeconds: 0, waitSeconds: 3 });
  });

  it("counts a second once, however much is in hand", () => {
    const first = clock.begin(Work.SAMPLING, "step 1", 1);
    ms = 1000;
    const second = clock.begin(Work.SAMPLING, "step 2", 2);
    ms = 3000;
    clock.end(first);
    ms = 4000;
    clock.end(second);
    ms = 4500;
    expect(clock.take()).toEqual({ workSeconds: 4, waitSeconds: 0.5 });
    expect(clock.take()).toEqual({ workSeconds: 0, waitSeconds: 0 });
  });

  it("works where one of what is in hand does, and is at what it began last of that", () => {
    clock.begin(Work.SAMPLING, "step 1", 1);
    const loading = clock.begin(Work.LOADING, "new weights", 0);
    clock.begin(Work.WAITING, "somebody", 0);
    expect(clock.current.message).toBe("new weights");
    clock.end(loading);
    expect(clock.current.message).toBe("step 1");
    ms = 1000;
    expect(clock.take()).toEqual({ workSeconds: 1, waitSeconds: 0 });
  });

  it("says what it was at for the most part since it was asked last", () => {
    const sampling = clock.begin(Work.SAMPLING, "step 1", 1);
    ms = 600;
    clock.end(sampling);
    ms = 900;
    const last = clock.begin(Work.SAMPLING, "step 2", 2);
    ms = 1000;
    clock.end(last);
    expect(clock.mostly()).toMatchObject({ work: Work.SAMPLING, message: "step 2" });
    ms = 1100;
    expect(clock.mostly().work).toBe(Work.WAITING);
  });
});

describe("placeOf()", () => {
  it.each([
    ["17", ["step 17", 17]],
    ["e20", ["the evaluation of version 20", 20]],
    ["d0", ["the dataset's texts", 0]],
  ] as const)("reads %s", (token, place) => {
    expect(placeOf(token)).toEqual(place);
  });
});
