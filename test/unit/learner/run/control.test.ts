import type { RunContext } from "../../../../services/learner/context/run-context.js";
import { obeyControl } from "../../../../services/learner/run/control.js";
import type { Control } from "../../../../services/shared/flow/runs/wish.js";
import { RunState } from "../../../../services/shared/gen/retort/v1/run_pb.js";

describe("obeyControl()", () => {
  let notes: string[];
  let stop: AbortController;
  beforeEach(() => {
    notes = [];
    stop = new AbortController();
  });

  /** A run of which these are asked, one after the other; the last one stays. */
  const contextOf = (...asked: readonly Control[]): RunContext => {
    let looks = 0;
    const control = async () => asked[Math.min(looks++, asked.length - 1)];
    return {
      membership: { runId: "r", runs: { control } },
      stop: stop.signal,
      progress: { doing: (_: number, activity: string) => notes.push(activity) },
      report: { state: async (state: RunState, step: number) => notes.push(`${RunState[state]} at ${step}`) },
    } as unknown as RunContext;
  };
  const save = async (): Promise<void> => {
    notes.push("saved");
  };

  it("lets a run go on that is to run, and saves nothing", async () => {
    expect(await obeyControl(contextOf("run"), 7, save)).toBeUndefined();
    expect(notes).toEqual([]);
  });

  it("saves before the run stops", async () => {
    expect(await obeyControl(contextOf("stop"), 7, save)).toBe("stopped");
    expect(notes).toEqual(["saved"]);
  });

  it("hands a run back whose process is to stop, whatever is asked of the run", async () => {
    stop.abort();
    expect(await obeyControl(contextOf("run"), 7, save)).toBe("handedBack");
    expect(notes).toEqual(["saved"]);
  });

  it("saves once and says so when a run pauses, and says when it goes on", async () => {
    expect(await obeyControl(contextOf("pause", "pause", "run"), 7, save)).toBeUndefined();
    expect(notes).toEqual(["saved", "PAUSED at 7", "paused", "RUNNING at 7"]);
  });

  it("stops a paused run", async () => {
    expect(await obeyControl(contextOf("pause", "stop"), 7, save)).toBe("stopped");
    expect(notes).toEqual(["saved", "PAUSED at 7", "paused", "saved"]);
  });
});
