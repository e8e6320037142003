import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { probeOf } from "../../../../services/cli/plan/probe-spec.js";
import { runTimes } from "../../../../services/cli/plan/run-times.js";
import { type RunEvent, RunEventSchema, type StepFinishedSchema, Work } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { specOf } from "../../../support/runs/run-spec.js";

type Event = Exclude<MessageInitShape<typeof RunEventSchema>, RunEvent>["event"];

/** An event so many seconds after the run's start. */
const at = (seconds: number, event: Event): RunEvent => create(RunEventSchema, { time: timestampFromMs(1e12 + 1000 * seconds), event });
const step = (seconds: number, value: MessageInitShape<typeof StepFinishedSchema>) => at(seconds, { case: "stepFinished", value });
const learner = { role: "learner", instance: "host-1" };
const working = (seconds: number, work: Work) => at(seconds, { case: "activity", value: { process: learner, work } });

const phase = { preset: "on_policy_kd", steps: 100, sampling: { maxNewTokens: 40 } };

describe("runTimes()", () => {
  it("multiplies the measured steps alone, and adds what comes besides", () => {
    const evaluation = { path: "/held-out", limit: 320, everySteps: 50 };
    const spec = specOf({ phases: [phase], evaluation, rollouts: { maxStaleness: 0 }, checkpoints: { everySeconds: 100 } });
    const events = [
      at(0, { case: "stateChanged", value: {} }),
      at(4, { case: "learnerStarted", value: {} }),
      at(5, { case: "datasetReady", value: { rows: 10 } }),
      at(9, { case: "evaluationFinished", value: { seconds: 3, prompts: 32 } }),
      step(16, { step: 1, seconds: 7, meanLength: 20 }),
      step(18, { step: 2, seconds: 2, meanLength: 18, trainSeconds: 1.5, waitSeconds: 0.4, publishSeconds: 0.1 }),
      step(22, { step: 3, seconds: 4, meanLength: 22, trainSeconds: 2.5, waitSeconds: 1.2, publishSeconds: 0.3 }),
      working(22, Work.CHECKPOINTING),
      working(22.5, Work.EVALUATING),
      at(24, { case: "evaluationFinished", value: { version: 3, seconds: 1.5, prompts: 32 } }),
      at(24, { case: "processFigures", value: { process: learner, peakResidentBytes: 7n } }),
      at(25, { case: "processFigures", value: { process: learner, peakResidentBytes: 9n } }),
    ];
    const times = runTimes(spec, probeOf(spec, "/scratch"), events, { evaluations: 3, texts: 0 });
    expect(times.phases).toEqual([
      {
        ...{ name: "on_policy_kd", steps: 100, meanTokens: 20, maxTokens: 40 },
        ...{ stepSeconds: { low: 2, expected: 3, high: 4 }, seconds: { low: 200, expected: 300, high: 400 } },
        ...{ trainSeconds: 2, waitSeconds: expect.closeTo(0.8), publishSeconds: 0.2 },
        // Completions twice as long, by the longer step.
        longestSeconds: 800,
      },
    ]);
    // Of 16 seconds, 7 were the first step's and 3 the evaluation's.
    expect(times.startSeconds).toBe(6);
    // Ten times the rows: the cold one once, the warm one twice.
    expect(times.evaluationSeconds).toBe(30 + 2 * 15);
    // At two evaluations, and every 100 of 366 seconds.
    expect(times.checkpointSeconds).toBe(5 * 0.5);
    expect(times.total).toEqual({ low: 268.5, expected: 368.5, high: 468.5 });
    expect(times.longestSeconds).toBe(868.5);
    expect(times.peaks).toEqual([{ role: "learner", teacher: "", bytes: 9 }]);
  });

  it("weighs steps on samples and on texts by lambda; texts don't get longer", () => {
    const spec = specOf({ phases: [{ steps: 100, lambda: 0.25, sampling: { maxNewTokens: 40 } }], rollouts: { maxStaleness: 0 } });
    const lengths = [1, 2, 3].map((n) => step(n, { step: n, seconds: 4, meanLength: 20 }));
    const texts = [4, 5].map((n) => step(n, { step: n, seconds: 1, meanLength: 10 }));
    const { phases } = runTimes(spec, probeOf(spec, "/scratch"), [...lengths, ...texts], { evaluations: 0, texts: 0 });
    // 25 steps of 4 seconds, of completions that may be twice as long, and 75 of 1 second.
    expect(phases).toMatchObject([{ seconds: { expected: 175 }, meanTokens: 12.5, maxTokens: 40, longestSeconds: 275 }]);
    expect(() => runTimes(spec, probeOf(spec, "/scratch"), lengths, { evaluations: 0, texts: 0 })).toThrow(/took no step of the phase gkd/);
  });

  it("scales what a teacher writes before the first step", () => {
    const spec = specOf({ data: { generate: { texts: 3200 } }, phases: [phase], rollouts: { maxStaleness: 0 } });
    const events = [
      at(0, { case: "stateChanged", value: {} }),
      at(2, { case: "learnerStarted", value: {} }),
      at(5, { case: "datasetReady", value: { rows: 32 } }),
      ...[1, 2, 3].map((n) => step(5 + n, { step: n, seconds: 1, meanLength: 40 })),
    ];
    const times = runTimes(spec, probeOf(spec, "/scratch"), events, { evaluations: 0, texts: 3200 });
    expect([times.startSeconds, times.writeSeconds, times.total.expected]).toEqual([2, 300, 402]);
    // They are as long as may be already.
    expect(times.longestSeconds).toBe(times.total.high);
  });
});
