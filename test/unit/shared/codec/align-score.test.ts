import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { alignScore, perToken, readText } from "../../../../services/shared/codec/align-score.js";
import { firstTokens, trainSequence } from "../../../../services/shared/codec/train-sequence.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { SequenceSchema, SequenceScoreSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { spanRanks } from "../../../../services/shared/ml/text/span-ranks.js";

const signal = { kind: "sampled", k: 0, temperature: 1 } as const;
/** A teacher's score over tokens of its own, of so many bytes each. */
const scoreOf = (lengths: readonly number[], fields: MessageInitShape<typeof SequenceScoreSchema> = {}) =>
  create(SequenceScoreSchema, {
    logprobs: toRecord(Float32Array.from(lengths, (_, m) => -(2 ** m))),
    byteLengths: toRecord(Uint16Array.from(lengths)),
    ...fields,
  });
/** How the student writes the text: bytes of each of its tokens, and which begin words; by default those behind the first none but the end. */
const written = (lengths: readonly number[], noText = false, begins: readonly number[] = []) => ({
  byteLengths: Uint16Array.from(lengths),
  beginsWord: Uint8Array.from(lengths, (length, n) => begins[n] ?? (length === 0 ? 1 : 0)),
  noText,
});
const sequence = create(SequenceSchema, {
  promptIds: toRecord(Int32Array.of(1)),
  completionIds: toRecord(Int32Array.of(3, 4, 5, 6)),
  samplerLogprobs: toRecord(Float32Array.of(-1, -2, -3, -4)),
});

describe("alignScore()", () => {
  it("gives each of the student's tokens the sum over the teacher's tokens in its span", () => {
    const alignment = alignScore(scoreOf([1, 2, 3, 0]), signal, written([3, 1, 2, 0]))!;
    expect(alignment).toEqual({
      ...{ tokens: 4, spanCount: 3 },
      spans: { starts: Int32Array.of(0, 1, 1, 3), words: Int32Array.of(0, 0, 0, 3), alike: false },
      logprobs: Float32Array.of(-3, -4, -4, -8),
    });
    expect(perToken(alignment.spans, alignment.logprobs)).toEqual(Float32Array.of(-3, -2, -2, -8));
  });

  it("is the teacher's score as it is where both have the same tokens", () => {
    const { spans, logprobs } = alignScore(scoreOf([3, 1, 2, 0]), signal, written([3, 1, 2, 0]))!;
    expect([spans.starts, spans.alike, logprobs]).toEqual([Int32Array.of(0, 1, 2, 3), true, Float32Array.of(-1, -2, -4, -8)]);
  });

  it("begins a word where a span begins with one", () => {
    const of = (begins: number[]) => alignScore(scoreOf([1, 2, 3]), signal, written([3, 1, 2], false, begins))!.spans.words;
    expect(of([0, 1, 0])).toEqual(Int32Array.of(0, 1, 1));
    expect(of([0, 0, 1])).toEqual(Int32Array.of(0, 0, 0));
  });

  it("ends with the last border in common", () => {
    expect(alignScore(scoreOf([3, 2]), signal, written([3, 1, 2]))).toMatchObject({ tokens: 1, spanCount: 1 });
    expect(alignScore(scoreOf([2]), signal, written([3]))).toBeUndefined();
  });

  it("takes a token that no text has for one that the teacher hardly writes, where the text before it is compared", () => {
    expect(alignScore(scoreOf([3, 1]), signal, written([1, 2, 1], true))).toMatchObject({
      ...{ tokens: 4, spanCount: 3 },
      spans: { starts: Int32Array.of(0, 0, 2, 3), words: Int32Array.of(0, 0, 0, 3), alike: false },
      logprobs: Float32Array.of(-1, -1, -2, -20),
    });
    expect(alignScore(scoreOf([3, 1]), signal, written([], true))).toMatchObject({ tokens: 1, logprobs: Float32Array.of(-20) });
    expect(alignScore(scoreOf([3, 2]), signal, written([3, 1], true))).toMatchObject({ tokens: 1, logprobs: Float32Array.of(-1) });
  });

  it("refuses a score that isn't over the teacher's own tokens, or is damaged", () => {
    expect(() => alignScore(scoreOf([3], { byteLengths: undefined }), signal, written([3]))).toThrow(/the score has no byteLengths/);
    expect(() => alignScore(scoreOf([3], { logprobs: undefined }), signal, written([3]))).toThrow(/has no logprobs/);
    expect(() => alignScore(scoreOf([3, 3], { logprobs: toRecord(Float32Array.of(-1)) }), signal, written([3, 3]))).toThrow(
      /logprobs has the shape/,
    );
  });
});

describe("trainSequence(), of a teacher's own tokens", () => {
  const records = { sequence, score: scoreOf([3, 3]), signal, headDigest: "", sampled: true };

  it("has what lies in spans in common, and its spans", () => {
    expect(trainSequence({ ...records, alignment: alignScore(records.score, signal, written([3, 1, 2])) })).toEqual({
      promptIds: Int32Array.of(1),
      completionIds: Int32Array.of(3, 4, 5),
      samplerLogprobs: Float32Array.of(-1, -2, -3),
      spans: { starts: Int32Array.of(0, 1, 1), words: Int32Array.of(0, 0, 0), alike: false },
      score: { signal, logprobs: Float32Array.of(-1, -2, -2) },
    });
  });

  it("refuses such a score where none was asked for", () => {
    expect(() => trainSequence(records)).toThrow(/score has byteLengths: it is over the teacher's own tokens, which were not asked for/);
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 3],
    [4, 4],
  ])("cut to its first %d tokens has %d: no span is cut", (most, tokens) => {
    const whole = trainSequence({
      ...records,
      score: scoreOf([3, 3, 0]),
      alignment: alignScore(scoreOf([3, 3, 0]), signal, written([3, 1, 2, 0])),
    });
    const cut = firstTokens(whole, most);
    expect(
      [cut.completionIds, cut.samplerLogprobs, cut.spans?.starts, cut.spans?.words, cut.score?.logprobs].map((array) => array?.length),
    ).toEqual(Array.from({ length: 5 }, () => tokens));
  });

  it("keeps the first span where that is longer", () => {
    const score = scoreOf([6, 0]);
    expect(
      firstTokens(trainSequence({ ...records, score, alignment: alignScore(score, signal, written([3, 1, 2, 0])) }), 2).completionIds,
    ).toHaveLength(3);
  });
});

describe("readText()", () => {
  const asked = { kind: "top_k", k: 2, temperature: 1 } as const;
  const classes = (rows: number) => ({
    ids: toRecord(new Int32Array(2 * rows), [rows, 2]),
    topLogprobs: toRecord(new Float32Array(2 * rows), [rows, 2]),
    tailLogprobs: toRecord(new Float32Array(rows)),
  });

  it("reads a score with classes over the teacher's own tokens", () => {
    const read = readText(scoreOf([3, 0], classes(2)), asked, 7);
    expect(read).toMatchObject({ byteLengths: Uint16Array.of(3, 0), logprobs: Float32Array.of(-1, -2), endId: 7 });
    expect([read.ids.length, read.topLogprobs.length, read.tail.length]).toEqual([4, 4, 2]);
  });

  it.each([
    ["without classes", {}, /lacks an array of top_k/],
    ["with more classes than were asked for", { ...classes(2), ids: toRecord(new Int32Array(6), [2, 3]) }, /has not 2 classes a token/],
    ["with classes of fewer tokens", classes(1), /ids has the shape \[1, 2\]; expected \[2, any\]/],
  ])("refuses one %s", (_, fields, message) => {
    expect(() => readText(scoreOf([3, 0], fields), asked, 7)).toThrow(message);
  });

  it("is trained on by rank with the teacher's probability of what stands before the last of each span, of which none is cut", () => {
    const score = scoreOf([2, 1, 2, 0], classes(4));
    const byteLengths = Uint16Array.of(3, 1, 1, 0);
    const next = spanRanks(readText(score, asked, undefined), { byteLengths }, 4, 9);
    const alignment = { ...alignScore(score, signal, written([...byteLengths]))!, next };
    const sequenceOf = (most: number) =>
      firstTokens(trainSequence({ sequence, score, signal: asked, headDigest: "", sampled: true, alignment }), most);
    const [whole, cut] = [sequenceOf(0), sequenceOf(2)];
    expect([whole.known, whole.spans?.before]).toEqual([Uint8Array.of(1, 0, 1, 1), Float32Array.of(-1, 0, 0, 0)]);
    expect([cut.known, cut.spans?.before, cut.score?.topLogprobs?.length]).toEqual([Uint8Array.of(1), Float32Array.of(-1), 2]);
  });

  it("is trained on with what the teacher expects, and where", () => {
    const next = {
      k: 2,
      ids: Int32Array.of(1, 2, 3, 4),
      topLogprobs: Float32Array.of(-1, -2, -3, -4),
      tail: Float32Array.of(-5, -6),
      known: Uint8Array.of(1, 0),
    };
    const alignment = { ...alignScore(scoreOf([1, 2]), signal, written([1, 2, 2]))!, next };
    const trained = trainSequence({ sequence, score: undefined, signal: asked, headDigest: "", sampled: true, alignment });
    const { ids, topLogprobs, tail, known } = next;
    expect(trained).toMatchObject({ known, completionIds: Int32Array.of(3, 4), score: { signal: asked, ids, topLogprobs, tail } });
    expect(firstTokens(trained, 1)).toMatchObject({
      ...{ known: Uint8Array.of(1), completionIds: Int32Array.of(3) },
      score: { ids: Int32Array.of(1, 2), tail: Float32Array.of(-5) },
    });
  });
});
