import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { assemble } from "../../../../services/learner/step/assemble.js";
import type { CompleteResults } from "../../../../services/learner/tasks/results-reader.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { sequencesDigest } from "../../../../services/shared/flow/rollouts/digest.js";
import {
  FinishReason,
  RewardSchema,
  RolloutSchema,
  type SequenceSchema,
  Source,
  TeacherScoreSchema,
} from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { runOf } from "../../../support/runs/run-spec.js";

const signal = { kind: "full", k: 0, temperature: 1 };

/** A sampled sequence of the given length, by policy version `version`. */
const sampled = (prompt: number, length: number, version = 0, finish = FinishReason.STOP): MessageInitShape<typeof SequenceSchema> => ({
  prompt,
  finish,
  promptIds: toRecord(Int32Array.of(1, 2)),
  completionIds: toRecord(new Int32Array(length).fill(prompt)),
  samplerLogprobs: toRecord(new Float32Array(length).fill(-1)),
  policyVersions: toRecord(new Uint32Array(length).fill(version)),
});

/** What arrived for a task: its rollout, an honest score, and rewards if there are values. */
function arrived(sequences: MessageInitShape<typeof SequenceSchema>[], rewards?: readonly (number | string)[]): CompleteResults {
  const rollout = create(RolloutSchema, { source: Source.STUDENT, sequences, signal, seconds: 2 });
  const score = create(TeacherScoreSchema, {
    signal,
    seconds: 3,
    sequencesDigest: sequencesDigest(rollout.sequences),
    scores: rollout.sequences.map(({ completionIds, failure }) => {
      const length = completionIds?.shape[0] ?? 0;
      return failure
        ? { failure }
        : { logprobs: toRecord(new Float32Array(length).fill(-2)), full: toRecord(new Float32Array(length * 3), [length, 3]) };
    }),
  });
  const reward = rewards && create(RewardSchema, { rewards: rewards.map((r) => (typeof r === "string" ? { failure: r } : { value: r })) });
  return { rollout, score, reward };
}

const phase = (baseline = "") => runOf([{ steps: 9, samplesPerPrompt: 2, objective: { baseline } }]).phases[0]!;

describe("assemble(), of several teachers", () => {
  it("names who scored each sequence, with its weight", () => {
    const by = (teacher: string) => {
      const results = arrived([sampled(0, 2)]);
      return { ...results, score: { ...results.score!, teacher } };
    };
    const { batch } = assemble([by("math"), by("chat")], phase(), 3, { weights: new Map([["math", 2.5]]) });
    expect(batch.map(({ teacher }) => teacher)).toEqual([
      { name: "math", weight: 2.5 },
      { name: "chat", weight: 1 },
    ]);
  });
});

describe("assemble()", () => {
  it("makes a batch of every sequence, task by task, with what its event reports", () => {
    const result = assemble([arrived([sampled(0, 2), sampled(1, 4, 1, FinishReason.LENGTH)]), arrived([sampled(2, 3, 2)])], phase(), 3);
    expect(result.batch.map(({ completionIds }) => Array.from(completionIds))).toEqual([
      [0, 0],
      [1, 1, 1, 1],
      [2, 2, 2],
    ]);
    expect(result.batch[0]).toMatchObject({ promptIds: Int32Array.of(1, 2), samplerLogprobs: Float32Array.of(-1, -1) });
    expect(result.batch[0]!.score).toMatchObject({ logprobs: Float32Array.of(-2, -2), signal: { kind: "full" } });
    expect(result).toMatchObject({
      failures: [],
      reward: undefined,
      meanLength: 3,
      finishedShare: 2 / 3,
      sampleSeconds: 4,
      scoreSeconds: 6,
    });
    // Four bytes for the token, four for each of three classes.
    expect(result.signalBytesPerToken).toBe(16);
  });

  it("counts staleness in versions, over tokens", () => {
    const { stalenessMean, stalenessMax } = assemble([arrived([sampled(0, 3, 4), sampled(1, 1, 2)])], phase(), 5);
    expect([stalenessMean, stalenessMax]).toEqual([0.5, 2]);
  });

  it("leaves out what failed anywhere, says where and why, and takes no baseline from it", () => {
    const result = assemble(
      [arrived([sampled(0, 1), { prompt: 1, failure: "too long" }, sampled(2, 1), sampled(3, 1)], [1, "", "judge is away", 3])],
      phase("batch"),
      1,
    );
    expect(result.failures).toEqual([
      { task: 0, prompt: 1, sample: 0, reason: "too long" },
      { task: 0, prompt: 2, sample: 0, reason: "judge is away" },
    ]);
    expect(result.batch.map(({ completionIds, advantage }) => [completionIds[0], advantage])).toEqual([
      [0, -1],
      [3, 1],
    ]);
    expect(result.reward).toBe(2);
  });

  it("leaves out what a lost teacher's record says has failed, though that names no weights, beside what others scored", () => {
    const lost = arrived([sampled(1, 1)]);
    const scores = [{ failure: "its workers were lost" }];
    const record = create(TeacherScoreSchema, { sequencesDigest: lost.score!.sequencesDigest, scores });
    const honest = arrived([sampled(0, 1)]);
    const { batch, failures } = assemble(
      [
        { ...honest, score: { ...honest.score!, teacherDigest: "abc" } },
        { ...lost, score: record },
      ],
      phase(),
      1,
    );
    expect(batch).toHaveLength(1);
    expect(failures).toEqual([{ task: 1, prompt: 1, sample: 0, reason: "its workers were lost" }]);
  });

  it("gives an empty batch when everything failed", () => {
    const { batch, failures, meanLength } = assemble([arrived([{ failure: "a" }, { failure: "b" }])], phase(), 1);
    expect([batch, failures.length, meanLength]).toEqual([[], 2, 0]);
  });

  it.each([
    // The two samples of a prompt are a group; prompts of different tasks never are.
    ["group", [-1, 1, -10, 10]],
    ["batch", [-31, -29, 20, 40]],
    ["none", [0, 2, 51, 71]],
  ])("turns rewards into advantages by the baseline %s", (baseline, expected) => {
    const tasks = [arrived([sampled(0, 1), sampled(0, 1)], [0, 2]), arrived([sampled(0, 1), sampled(0, 1)], [51, 71])];
    expect(assemble(tasks, phase(baseline), 1).batch.map(({ advantage }) => advantage)).toEqual(expected);
  });

  it.each<[string, (results: CompleteResults) => void, RegExp]>([
    ["of other sequences", ({ score }) => (score!.sequencesDigest = "x"), /task 0.*other sequences/],
    ["of fewer sequences", ({ score }) => score!.scores.pop(), /1 entry for 2/],
    ["at another temperature", ({ score }) => (score!.signal!.temperature = 2), /temperature=2.*temperature=1/],
    ["of another kind", ({ score }) => (score!.signal!.kind = "top_k"), /top_k.*full/],
    ["without a signal", ({ score }) => (score!.signal = undefined), /no signal/],
    ["that is not a number", ({ score }) => (score!.scores[0]!.logprobs = toRecord(Float32Array.of(Number.NaN))), /logprobs\[0\] is NaN/],
    [
      "that is infinite",
      ({ score }) => (score!.scores[1]!.full = toRecord(Float32Array.of(0, Number.POSITIVE_INFINITY, 0), [1, 3])),
      /full\[1\]/,
    ],
    ["that is cut off", ({ score }) => (score!.scores[0]!.full!.data = new Uint8Array(5)), /full: 5 bytes/],
    ["of a rollout without versions", ({ rollout }) => (rollout!.sequences[0]!.policyVersions = undefined), /policyVersions is missing/],
  ])("refuses a score %s", (_, spoil, message) => {
    const results = arrived([sampled(0, 1), sampled(1, 1)]);
    spoil(results);
    expect(() => assemble([results], phase(), 1)).toThrow(
      expect.objectContaining({ code: "DataLoss", message: expect.stringMatching(message) }),
    );
  });
});
