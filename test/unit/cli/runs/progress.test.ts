import { stripVTControlCharacters } from "node:util";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { evaluationLine, ProgressView, stepLine } from "../../../../services/cli/runs/progress.js";
import { EvaluationFinishedSchema, RunEventSchema, StepFinishedSchema, Work } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../../../services/shared/gen/retort/v1/run_pb.js";
import { paper } from "../../../support/cli/paper.js";

const step = create(StepFinishedSchema, {
  step: 3,
  totalSteps: 9,
  phase: "gkd",
  divergence: 0.12345,
  reward: 0.5,
  completionTokens: 300,
  seconds: 2,
  stalenessMean: 0.75,
  tasksInFlight: 4,
});

describe("stepLine()", () => {
  it("says how good, how fast and how old", () => {
    expect(stepLine(step)).toBe("gkd divergence 0.1235 · reward 0.500 · 150 tok/s · stale 0.8 · in flight 4");
  });

  it("leaves out a reward that there is none of, and survives figures that are none", () => {
    expect(stepLine(create(StepFinishedSchema, { phase: "sft", divergence: Number.NaN }))).toBe(
      "sft divergence NaN · 0 tok/s · stale 0.0 · in flight 0",
    );
  });
});

describe("evaluationLine()", () => {
  it("names version, metric and figures in order", () => {
    const samples = [{ temperature: 1, quality: 0.25, forwardKl: 0.1, teacherNll: 2 }];
    const line = evaluationLine(create(EvaluationFinishedSchema, { version: 40, metric: "exact_match", greedy: 0.5, samples }));
    expect(line).toMatch(/^version 40: greedy exact_match 50\.0 %, at temperature 1 .*25\.0 %.*0\.100.*2\.000/);
  });
});

describe("ProgressView, without a terminal", () => {
  const show = (...events: MessageInitShape<typeof RunEventSchema>["event"][]) => {
    const { out, text } = paper({ isTTY: false });
    const view = new ProgressView(out);
    for (const event of events) view.show(create(RunEventSchema, { event }));
    view.close();
    return text().split("\n").slice(0, -1);
  };

  it.each<[MessageInitShape<typeof RunEventSchema>["event"], RegExp]>([
    [{ case: "datasetReady", value: { rows: 7, dropped: { "prompt too long": 2 } } }, /dataset: 7 rows, 2 dropped \(prompt too long\)/],
    [{ case: "phaseStarted", value: { name: "gkd", firstStep: 1, lastStep: 9 } }, /phase gkd: steps 1–9/],
    [{ case: "taskFailed", value: { key: { step: 4 }, reason: "too long" } }, /step 4: too long/],
    [{ case: "checkpointSaved", value: { step: 5, path: "/there" } }, /step 5: \/there/],
    [{ case: "warning", value: { message: "look out" } }, /look out/],
    [{ case: "warning", value: { message: "the loss is NaN", alarm: true } }, /alarm: the loss is NaN/],
    [{ case: "stateChanged", value: { state: RunState.FAILED, message: "no luck" } }, /run failed: no luck/],
    [{ case: "stateChanged", value: { state: RunState.RUNNING } }, /run running$/],
    [{ case: "learnerStarted", value: { fence: 1n } }, /^learner 1 begins at step 0$/],
    [
      { case: "learnerStarted", value: { fence: 3n, fromStep: 540, lostAtStep: 545, message: "killed" } },
      /^learner 2 was lost at step 545 \(killed\); learner 3 goes on from the checkpoint of step 540$/,
    ],
    [
      { case: "waiting", value: { waiter: "learner", waitsFor: "14 scores of step 3", seconds: 61.2, deadlineSeconds: 300 } },
      /^learner has waited 61 s for 14 scores of step 3, at most 300 s$/,
    ],
    [
      { case: "auditFinished", value: { holds: true, steps: 4, samples: 16n, trained: 15n, failed: 1n, learners: 1 } },
      /^every sample is accounted for: 4 steps, 16 samples: 15 trained, 1 with another recorded outcome$/,
    ],
    [{ case: "stepFinished", value: step }, /^step 3\/9 gkd divergence/],
  ])("writes a line about $case", (event, expected) => {
    const [line, ...more] = show(event);
    expect([line, more]).toEqual([expect.stringMatching(expected), []]);
  });

  it("shows the first problems of an account that does not hold", () => {
    const problems = Array.from({ length: 7 }, (_, i) => `step ${i}: sample 0 is missing`);
    const lines = show({ case: "auditFinished", value: { holds: false, steps: 7, samples: 7n, learners: 2, repeatedSteps: 1, problems } });
    expect(lines[0]).toBe("the account does not hold: 7 steps, 7 samples: 0 trained, 1 step trained again, 2 learners");
    expect(lines.slice(1)).toEqual([...problems.slice(0, 5).map((problem) => `  ${problem}`), "  … and 2 more"]);
  });

  it("does not flood a log with steps, and never leaves out the last", () => {
    const steps = Array.from({ length: 9 }, (_, i) => ({ case: "stepFinished" as const, value: { ...step, step: i + 1 } }));
    const lines = show(...steps);
    expect(lines[0]).toMatch(/^step 1\/9/);
    expect(lines.at(-1)).toMatch(/^step 9\/9/);
    expect(lines.length).toBeLessThan(9);
  });
});

describe("ProgressView, on a terminal", () => {
  it("has a bar for the steps and one for an evaluation, each with the time that is left by the mean of what was done", () => {
    const { out, text } = paper({ isTTY: true, columns: 80 });
    const view = new ProgressView(out);
    const show = (event: MessageInitShape<typeof RunEventSchema>["event"], seconds = 0n) =>
      view.show(create(RunEventSchema, { event, time: { seconds } }));
    const evaluating = (done: bigint) => ({
      case: "activity" as const,
      value: { process: { role: "learner" }, work: Work.EVALUATING, message: "version 3", done, total: 8n },
    });
    for (const n of [1, 2, 3]) show({ case: "stepFinished", value: { ...step, step: n, seconds: n === 1 ? 60 : 2 } });
    show({ case: "checkpointSaved", value: { step: 3, path: "/there" } });
    show(evaluating(0n), 1000n);
    show(evaluating(2n), 1010n);
    show({ case: "warning", value: { message: "look out" } });
    view.close();
    const lines = stripVTControlCharacters(text()).split("\n");
    expect(lines).toContainEqual(expect.stringMatching(/█+░+ 3\/9 ETA 12 s · gkd divergence 0\.1235 · /));
    expect(lines).toContainEqual(expect.stringMatching(/evaluating version 3 █+░+ 2\/8 ETA 30 s$/));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
  });
});
