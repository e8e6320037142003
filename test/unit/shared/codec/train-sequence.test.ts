import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { firstTokens, scoreInput, trainSequence } from "../../../../services/shared/codec/train-sequence.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { SequenceSchema, SequenceScoreSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const ramp = (length: number) => Float32Array.from({ length }, (_, i) => -i - 1);
const sequence = (fields: MessageInitShape<typeof SequenceSchema> = {}) =>
  create(SequenceSchema, {
    promptIds: toRecord(Int32Array.of(1, 2)),
    completionIds: toRecord(Int32Array.of(3, 4, 5)),
    samplerLogprobs: toRecord(ramp(3)),
    studentTopIds: toRecord(Int32Array.of(3, 4, 5, 6, 7, 8), [3, 2]),
    ...fields,
  });
const score = create(SequenceScoreSchema, {
  logprobs: toRecord(ramp(3)),
  topLogprobs: toRecord(ramp(6), [3, 2]),
  tailLogprobs: toRecord(ramp(3)),
});
const signal = { kind: "student_top_k", k: 2, temperature: 1 } as const;
const records = { sequence: sequence(), score, signal, headDigest: "", sampled: true };

describe("trainSequence()", () => {
  it("joins a sequence with its score and the classes that the student chose", () => {
    expect(trainSequence(records)).toEqual({
      promptIds: Int32Array.of(1, 2),
      completionIds: Int32Array.of(3, 4, 5),
      samplerLogprobs: ramp(3),
      score: { signal, logprobs: ramp(3), topLogprobs: ramp(6), tail: ramp(3), ids: Int32Array.of(3, 4, 5, 6, 7, 8) },
    });
  });

  it("has no log-probabilities of a sampler where none drew the tokens", () => {
    expect(Object.keys(trainSequence({ ...records, score: undefined, sampled: false }))).toEqual(["promptIds", "completionIds"]);
  });

  it("names the field that is missing by its path", () => {
    const bad = { ...records, sequence: sequence({ samplerLogprobs: undefined }) };
    expect(() => trainSequence(bad, "sequences[4].sequence.")).toThrow("sequences[4].sequence.samplerLogprobs is missing");
    expect(() => scoreInput(sequence({ completionIds: undefined }))).toThrow("completionIds is missing");
  });
});

describe("firstTokens()", () => {
  it.each([1, 2])("keeps the first %d tokens of every array", (tokens) => {
    const { promptIds, completionIds, samplerLogprobs, score } = firstTokens(trainSequence(records), tokens);
    expect([promptIds.length, completionIds.length, samplerLogprobs]).toEqual([2, tokens, ramp(tokens)]);
    expect(score).toEqual({
      signal,
      logprobs: ramp(tokens),
      topLogprobs: ramp(2 * tokens),
      tail: ramp(tokens),
      ids: Int32Array.of(3, 4, 5, 6).subarray(0, 2 * tokens),
    });
  });

  it.each([0, 3, 9])("keeps all of them for %d", (tokens) => {
    const whole = trainSequence(records);
    expect(firstTokens(whole, tokens)).toBe(whole);
  });
});
