import { create } from "@bufbuild/protobuf";
import { stepFigures, taughtBy } from "../../../../services/learner/step/step-figures.js";
import { stepValues } from "../../../../services/shared/flow/history/figures.js";
import { phaseOf } from "../../../../services/shared/flow/runs/resolve.js";
import { StepFinishedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import type { TrainSequence } from "../../../../services/shared/ml/training/batch.js";
import type { StepStats } from "../../../../services/shared/ml/training/stats.js";
import { runOf } from "../../../support/runs/run-spec.js";

const sequence = (length: number, name: string, weight: number): TrainSequence => ({
  promptIds: Int32Array.of(1),
  completionIds: new Int32Array(length),
  teacher: { name, weight },
});
const times = { startedMs: 0, collectedMs: 1, trainedMs: 2, publishedMs: 3 };
const figuresOf = (batch: readonly TrainSequence[], sequenceDivergence: number[], objective = {}) => {
  const phase = phaseOf(runOf([{ steps: 1, objective }]), 1);
  const stats = { sequenceDivergence: Float32Array.from(sequenceDivergence) } as unknown as StepStats;
  const assembled = { batch, failures: [] } as unknown as Parameters<typeof stepFigures>[1];
  return create(StepFinishedSchema, stepFigures(phase, assembled, stats, times));
};

describe("taughtBy()", () => {
  it("is the version of the teachers that follow the student, and a figure; nothing where none does", () => {
    expect(taughtBy([{}, { teacherVersion: 0 }, { teacherVersion: 0 }])).toEqual({ teacherVersion: 0 });
    expect(taughtBy([{}, {}])).toEqual({});
    expect(new Map(stepValues(create(StepFinishedSchema, taughtBy([{ teacherVersion: 6 }])))).get("teacherVersion")).toBe(6);
    expect([...stepValues(create(StepFinishedSchema, taughtBy([{}])))].map(([name]) => name)).not.toContain("teacherVersion");
  });
});

describe("stepFigures() by teacher", () => {
  const batch = [sequence(4, "math", 3), sequence(2, "chat", 1), sequence(6, "math", 3)];

  it("says what each one scored, its share of the loss, and its divergence per token", () => {
    const { teachers } = figuresOf(batch, [1, 0.5, 2]);
    expect(teachers).toMatchObject([
      { name: "math", sequences: 2, completionTokens: 10, lossShare: expect.closeTo(6 / 7, 12), divergence: expect.closeTo(1.6, 6) },
      { name: "chat", sequences: 1, completionTokens: 2, lossShare: expect.closeTo(1 / 7, 12), divergence: 0.5 },
    ]);
    const balanced = figuresOf(batch, [1, 0.5, 2], { balance: "teachers", normalisation: "token" });
    expect(balanced.teachers.map(({ lossShare }) => lossShare)).toEqual([expect.closeTo(0.75, 12), expect.closeTo(0.25, 12)]);
  });

  it("becomes figures of their own, by name", () => {
    const values = new Map(stepValues(figuresOf(batch, [1, 0.5, 2])));
    expect(values.get("teachers.chat.divergence")).toBe(0.5);
    expect(values.get("teachers.math.completionTokens")).toBe(10);
  });

  it("says nothing where one teacher scored all of it, or none did", () => {
    expect(figuresOf([sequence(4, "math", 1)], [1]).teachers).toEqual([]);
    expect(figuresOf([{ promptIds: Int32Array.of(1), completionIds: Int32Array.of(2) }], [1]).teachers).toEqual([]);
  });
});
