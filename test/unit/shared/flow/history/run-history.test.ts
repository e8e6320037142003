import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type HistoryLimits, RunHistory } from "../../../../../services/shared/flow/history/run-history.js";
import { thin } from "../../../../../services/shared/flow/history/thin.js";
import { RunEventSchema, type RunEventSchema as Schema, Work } from "../../../../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../../../../services/shared/gen/retort/v1/run_pb.js";

type Body = NonNullable<MessageInitShape<typeof Schema>["event"]>;

/** A history of events one second apart. */
function historyOf(bodies: readonly Body[], limits: HistoryLimits = {}): RunHistory {
  const history = new RunHistory(limits);
  bodies.forEach((event, i) => {
    history.push(create(RunEventSchema, { runId: "r", sequence: BigInt(i + 1), time: { seconds: BigInt(1000 + i), nanos: 0 }, event }));
  });
  return history;
}

const step = (step: number, loss: number, completionTokens = 10): Body => ({
  case: "stepFinished",
  value: { step, totalSteps: 100, loss, completionTokens },
});
const evaluated = (version: number, greedy: number): Body => ({ case: "evaluationFinished", value: { version, greedy } });
const sampled = (step: number, prompt: string): Body => ({ case: "samplesRecorded", value: { step, samples: [{ prompt }] } });
const learner = (fence: bigint, fromStep: number): Body => ({ case: "learnerStarted", value: { fence, fromStep } });
const teacher = { role: "teacher", teacher: "maths", instance: "host-1" };
const does = (work: Work, message: string, done = 0n): Body => ({
  case: "activity",
  value: { process: teacher, work, message, done, total: 9n },
});

const curve = (history: RunHistory, name: string) => {
  const { steps, values } = history.figures.get(name)!;
  return Array.from(steps, (at, i) => [at, values[i]]);
};

describe("RunHistory", () => {
  it("has a curve per figure, by steps, seconds and tokens", () => {
    const history = historyOf([learner(1n, 0), step(1, 3, 10), step(2, 2, 20)]);
    const { steps, seconds, tokens, values } = history.figures.get("loss")!;
    expect([steps, seconds, tokens, values].map((list) => Array.from(list))).toEqual([
      [1, 2],
      [1, 2],
      [10, 30],
      [3, 2],
    ]);
    expect([history.step, history.tokens, history.totalSteps, history.sequence]).toEqual([2, 30, 100, 3]);
  });

  it("leaves out what isn't a figure, and a figure that no step had", () => {
    const { figures } = historyOf([step(1, 3)]);
    expect(["step", "totalSteps", "source", "phase", "reward"].filter((name) => figures.has(name))).toEqual([]);
  });

  it("has a figure that comes late, with nothing before it", () => {
    const rewarded: Body = { case: "stepFinished", value: { step: 2, reward: 0.5 } };
    expect(curve(historyOf([step(1, 3), rewarded, step(3, 1)]), "reward")).toEqual([
      [1, Number.NaN],
      [2, 0.5],
      [3, Number.NaN],
    ]);
  });

  it("counts the last of steps that were trained twice, and their tokens once", () => {
    const events = [
      learner(1n, 0),
      step(1, 5),
      evaluated(1, 0.1),
      sampled(1, "a"),
      step(2, 4),
      step(3, 3),
      evaluated(3, 0.3),
      sampled(3, "b"),
    ];
    const before = historyOf(events);
    const shown = before.figures.get("loss")!;
    const after = historyOf([...events, learner(2n, 1), step(2, 40), sampled(2, "c")]);
    expect(curve(after, "loss")).toEqual([
      [1, 5],
      [2, 40],
    ]);
    expect(after.tokens).toBe(20);
    expect(curve(after, "evaluation.greedy")).toEqual([[1, 0.1]]);
    expect(after.evaluations.map(({ value }) => value.version)).toEqual([1]);
    expect(after.samples.map((one) => one.samples[0]!.prompt)).toEqual(["a", "c"]);
    expect(after.learners.map(({ value }) => value.fromStep)).toEqual([0, 1]);
    expect(Array.from(shown.values)).toEqual([5, 4, 3]);
  });

  it("takes back a step of a learner that had been replaced", () => {
    expect(curve(historyOf([step(1, 5), step(2, 4), learner(2n, 0), step(3, 9), step(1, 6), step(2, 7)]), "loss")).toEqual([
      [1, 6],
      [2, 7],
    ]);
  });

  it("doesn't change a curve that was given out before", () => {
    const history = historyOf([step(1, 5), step(2, 4)]);
    const { values } = history.figures.get("loss")!;
    for (const [i, body] of [learner(2n, 0), step(1, 6), step(2, 7)].entries())
      history.push(create(RunEventSchema, { sequence: BigInt(10 + i), event: body }));
    expect(Array.from(values)).toEqual([5, 4]);
    expect(curve(history, "loss")[0]).toEqual([1, 6]);
  });

  it("names the figures of an evaluation, and those of each temperature", () => {
    const value = {
      version: 0,
      greedyRewardComponents: { length: 2 },
      samples: [{ temperature: 0.7, quality: 0.5, passAt: [{ k: 8, value: 0.9 }], rewardComponents: { exact: 1 } }],
    };
    const history = historyOf([
      { case: "evaluationFinished", value },
      { case: "evaluationFinished", value },
    ]);
    expect(curve(history, "evaluation.samples.0.7.passAt.8")).toEqual([[0, 0.9]]);
    for (const name of [
      "evaluation.greedyRewardComponents.length",
      "evaluation.samples.0.7.quality",
      "evaluation.samples.0.7.rewardComponents.exact",
    ])
      expect(history.figures.has(name)).toBe(true);
  });

  it("keeps the completions of evaluations, unless it is told not to", () => {
    const event: Body = { case: "evaluationFinished", value: { version: 0, greedy: 0.5, examples: [{ prompt: "a" }] } };
    const kept = (limits?: HistoryLimits) => historyOf([event], limits).evaluations.map(({ value }) => value.examples.length);
    expect([kept(), kept({ examples: false })]).toEqual([[1], [0]]);
    expect(curve(historyOf([event], { examples: false }), "evaluation.greedy")).toEqual([[0, 0.5]]);
  });

  it("leaves out events that a reader has had already", () => {
    const history = historyOf([step(1, 5), step(2, 4)]);
    history.push(create(RunEventSchema, { sequence: 1n, event: step(1, 9) }));
    expect(curve(history, "loss").map(([, value]) => value)).toEqual([5, 4]);
  });

  it("has what each process did, from when to when", () => {
    const history = historyOf([
      does(Work.LOADING, "models/teacher"),
      does(Work.SCORING, "step 1", 1n),
      does(Work.SCORING, "step 1", 5n),
      { case: "stateChanged", value: { state: RunState.SUCCEEDED } },
    ]);
    const process = history.processes.get("teacher/maths/host-1")!;
    expect(process.spans).toEqual([
      { work: Work.LOADING, message: "models/teacher", step: 0, from: 0, to: 1, done: 0, total: 9 },
      { work: Work.SCORING, message: "step 1", step: 0, from: 1, to: 3, done: 5, total: 9 },
    ]);
    expect(process.current).toBeUndefined();
  });

  it("has what each process used, over the run's seconds", () => {
    const used: Body = { case: "processFigures", value: { process: teacher, seconds: 10, cpuSeconds: 15, residentBytes: 7n } };
    const process = historyOf([step(1, 3), used]).processes.get("teacher/maths/host-1")!;
    const { steps, seconds, values } = process.figures.get("residentBytes")!;
    expect([steps[0], seconds[0], values[0]]).toEqual([1, 1, 7]);
    expect(process.figures.has("deviceBytes")).toBe(false);
  });

  it("counts failed prompts by reason, and keeps warnings", () => {
    const failed: Body = { case: "taskFailed", value: { reason: "too long" } };
    const history = historyOf([failed, failed, { case: "warning", value: { message: "flat", alarm: true } }]);
    expect([...history.failures]).toEqual([["too long", 2]]);
    expect(history.warnings).toMatchObject([{ message: "flat", alarm: true, seconds: 2 }]);
  });
});

describe("thin()", () => {
  const values = [1, 5, Number.NaN, 3, Number.POSITIVE_INFINITY, 7];
  const series = {
    steps: Uint32Array.from(values, (_, i) => i + 1),
    seconds: Float64Array.from(values, (_, i) => 10 * i),
    tokens: Float64Array.from(values, (_, i) => 100 * i),
    values: Float64Array.from(values),
  };

  it("gives the mean, least and greatest of each bin at the bin's first step", () => {
    expect(thin(series, 2)).toEqual({ steps: [1, 4], seconds: [0, 30], tokens: [0, 300], mean: [3, 5], least: [1, 3], greatest: [5, 7] });
  });

  it("leaves a curve that is thin enough as it is, without what isn't finite", () => {
    expect(thin(series, 4)).toMatchObject({ steps: [1, 2, 4, 6], mean: [1, 5, 3, 7] });
  });

  it("begins behind a step", () => {
    expect(thin(series, 10, 2)).toMatchObject({ steps: [4, 6] });
  });

  it("loses no spike", () => {
    const spiky = { ...series, steps: new Uint32Array(1000), seconds: new Float64Array(1000), tokens: new Float64Array(1000) };
    const spike = Float64Array.from({ length: 1000 }, (_, i) => (i === 777 ? 50 : 1));
    expect(Math.max(...thin({ ...spiky, steps: spiky.steps.map((_, i) => i + 1), values: spike }, 10).greatest)).toBe(50);
  });
});
