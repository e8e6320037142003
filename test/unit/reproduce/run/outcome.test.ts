import { create, toJson } from "@bufbuild/protobuf";
import { measuresOf, type Outcome, totalsOf, trainingFlops } from "../../../../services/reproduce/run/outcome.js";
import { EvaluationFinishedSchema, StepFinishedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { Source } from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const totals = totalsOf([
  create(StepFinishedSchema, { source: Source.STUDENT, sequences: 2, completionTokens: 10, seconds: 1, stalenessMean: 2 }),
  create(StepFinishedSchema, { source: Source.DATASET, sequences: 3, completionTokens: 12, seconds: 3 }),
]);

describe("totalsOf()", () => {
  it("adds up steps, and what the student wrote itself", () => {
    expect(totals).toMatchObject({
      steps: 2,
      sequences: 5,
      completionTokens: 22,
      ownSequences: 2,
      ownTokens: 10,
      seconds: 4,
      staleness: 1,
    });
  });
});

describe("the overlap of most probable classes", () => {
  const step = (topOverlap?: number) => create(StepFinishedSchema, { topOverlap });

  it("is that of the first and of the last step that reports it", () => {
    expect(totalsOf([step(), step(0.5), step(0.6), step(0.75), step()]).overlap).toEqual({ first: 0.5, last: 0.75 });
    expect(totalsOf([step(), step()])).not.toHaveProperty("overlap");
  });
});

describe("trainingFlops()", () => {
  const cost = { student: 100, teacher: 1000, promptTokens: 4, scored: false };
  const [tokens, own] = [22 + 5 * 4, 10 + 2 * 4];

  it("counts 6 per parameter and token for training, 2 for sampling, and 2 of the teacher for scoring", () => {
    expect(trainingFlops(totals, cost)).toBe(6 * 100 * tokens + 2 * 100 * own);
    expect(trainingFlops(totals, { ...cost, scored: true })).toBe(6 * 100 * tokens + 2 * 100 * own + 2 * 1000 * tokens);
  });

  it("counts the texts that were written before step 1", () => {
    const written = { texts: 7, tokens: 9, parameters: 1000 };
    expect(trainingFlops(totals, { ...cost, written })).toBe(6 * 100 * tokens + 2 * 100 * own + 2 * 1000 * 7 * 13);
  });
});

describe("measuresOf()", () => {
  const evaluation = (greedy: number, greedyReward: number) =>
    toJson(
      EvaluationFinishedSchema,
      create(EvaluationFinishedSchema, {
        greedy,
        greedyReward,
        reward: 0.25,
        samples: [{ temperature: 0.5, quality: 0.7, reward: 0.6, selfBleu: 0.8, passAt: [{ k: 4, value: 0.9 }] }],
      }),
    );
  const outcome: Outcome = {
    ...{ digest: "d", label: "l", spec: {}, flops: 5, wallSeconds: 6, sideBySide: 1, finished: "" },
    first: evaluation(0.5, 0.125),
    last: evaluation(0.75, 0.625),
    totals,
    also: { otherKinds: 0.1 },
  };

  it("reads accuracy from the metric or from the task's check, and gains from before the first step", () => {
    expect(measuresOf(outcome, "exact_match")).toMatchObject({ greedy: 0.75, gain: 0.25, "sampled@0.5": 0.7 });
    expect(measuresOf(outcome, "task")).toMatchObject({ greedy: 0.625, gain: 0.5, sampled: 0.25, "sampled@0.5": 0.6 });
  });

  it("reads the task's check also where it is one term of the reward", () => {
    const judged = toJson(
      EvaluationFinishedSchema,
      create(EvaluationFinishedSchema, {
        greedyReward: 5,
        reward: 4,
        greedyRewardComponents: { classifier: 5, task: 0.5 },
        samples: [{ temperature: 1, reward: 4, rewardComponents: { classifier: 4, task: 0.25 } }],
      }),
    );
    expect(measuresOf({ ...outcome, last: judged }, "task")).toMatchObject({ greedy: 0.5, sampled: 0.25, "sampled@1": 0.25, reward: 4 });
  });

  it("has the student's entropy from the teacher's NLL and the reverse KL on its samples", () => {
    const last = toJson(EvaluationFinishedSchema, create(EvaluationFinishedSchema, { teacherNll: 1.5, reverseKl: 0.25 }));
    expect(measuresOf({ ...outcome, last }, "task")).toMatchObject({ entropy: 1.25 });
  });

  it("names figures by temperature and k, takes over what was also measured, and leaves out what was not", () => {
    const measures = measuresOf(outcome, "task");
    expect(measures).toMatchObject({ "selfBleu@0.5": 0.8, "pass@4": 0.9, otherKinds: 0.1, flops: 5, tokensPerSecond: 22 / 4 });
    expect(measures).not.toHaveProperty("teacherNll");
  });
});
