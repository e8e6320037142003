import { create } from "@bufbuild/protobuf";
import { recovered, type TeacherSamples, teacherFigures } from "../../../../services/learner/evaluation/teacher-figures.js";
import { EvaluationFinishedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import type { JudgedSample } from "../../../../services/shared/ml/evaluation/figures.js";

const options = { metric: "exact_match", passAt: [1], selfBleuUnit: "word" } as const;
/** A completion of a row, right or wrong. */
const sample = (prompt: number, right: boolean, reward: number): JudgedSample => ({
  ...{ prompt, text: right ? "yes" : "no", reference: "yes", tokens: 1, reward, rewardComponents: { task: reward } },
});
const samples = (rest: Partial<TeacherSamples> = {}): TeacherSamples => ({
  names: ["math", "chat", "idle"],
  of: (row) => (row < 4 ? "math" : "chat"),
  greedy: [0, 1, 2, 3, 4, 5].map((row) => sample(row, row === 0 || row === 4, row / 8)),
  drawn: [0, 1, 4].map((row) => sample(row, row === 4, 0.5)),
  own: undefined,
  start: undefined,
  ...rest,
});

describe("teacherFigures()", () => {
  it("tells the prompts of each teacher apart, in the spec's order, and leaves out who scores none", () => {
    const figures = teacherFigures(samples(), options);
    expect(figures).toMatchObject([
      { name: "math", prompts: 4, greedy: 0.25, greedyReward: 0.1875, sampled: 0, reward: 0.5 },
      { name: "chat", prompts: 2, greedy: 0.5, greedyReward: 0.5625, sampled: 1, reward: 0.5 },
    ]);
    for (const one of figures) expect(one).toMatchObject({ teacherGreedy: undefined, recovered: undefined });
  });

  it("says what the teachers reach themselves, from which nothing is recovered before the first step", () => {
    const own = new Map([["math", [0, 1, 2, 3].map((row) => sample(row, row < 3, 1))]]);
    const [math, chat] = teacherFigures(samples({ own }), options);
    expect(math).toMatchObject({ teacherGreedy: 0.75, teacherReward: 1, recovered: 0, recoveredReward: 0 });
    expect(chat).toMatchObject({ teacherGreedy: undefined, recovered: undefined });
  });

  it("measures later versions against the first evaluation", () => {
    const before = { name: "math", greedy: 0.05, greedyReward: 0.2, teacherGreedy: 0.85, teacherReward: 0.1 };
    const start = create(EvaluationFinishedSchema, { teachers: [before] });
    const [math, chat] = teacherFigures(samples({ start }), options);
    // From 0.05 to 0.25 of the way to 0.85; by the reward the teacher is worse than the student was.
    expect(math).toMatchObject({ teacherGreedy: 0.85, recovered: expect.closeTo(0.25, 12), recoveredReward: undefined });
    expect(chat).toMatchObject({ recovered: undefined });
  });
});

describe("recovered()", () => {
  it.each([
    [0.6, 0.2, 1, 0.5],
    [1, 0.2, 1, 1],
    [0.1, 0.2, 1, -0.125],
  ])("from %d, with a start of %d and a teacher of %d, is %d", (now, start, teacher, share) => {
    expect(recovered(now, start, teacher)).toBeCloseTo(share, 12);
  });

  it("isn't said where there is no headroom, or something wasn't measured", () => {
    expect(recovered(0.5, 0.5, 0.5)).toBeUndefined();
    expect(recovered(0.5, 0.5, 0.4)).toBeUndefined();
    expect(recovered(undefined, 0.5, 1)).toBeUndefined();
    expect(recovered(0.5, undefined, 1)).toBeUndefined();
    expect(recovered(0.5, 0.2, undefined)).toBeUndefined();
  });
});
