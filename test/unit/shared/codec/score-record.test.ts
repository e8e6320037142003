import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { fromScoreRecord, type ScoreContext, toScoreRecord } from "../../../../services/shared/codec/score-record.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { payloadBytes } from "../../../../services/shared/flow/results/payload.js";
import { type Array as ArrayRecord, type SequenceScore, SequenceScoreSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import type { Score } from "../../../../services/shared/ml/signals/score.js";
import type { Answer } from "../../../../services/shared/ml/signals/signal.js";
import { type SignalKind, signalKinds, signals } from "../../../../services/shared/ml/signals/table.js";

/** How large a score is: its tokens, the vocabulary, the classes or draws at each token, the width of a hidden state. */
interface Sizes {
  readonly tokens: number;
  readonly vocab: number;
  readonly k: number;
  readonly width: number;
  readonly half: boolean;
}

const logprob = fc.oneof(fc.float({ max: 0, noNaN: true }), fc.constant(Number.NEGATIVE_INFINITY));
const floats = (length: number, of: fc.Arbitrary<number> = logprob) =>
  fc.array(of, { minLength: length, maxLength: length }).map((list) => Float32Array.from(list));
const integers = (length: number, max: number) => fc.array(fc.nat(max), { minLength: length, maxLength: length });

/** What teachers can say of a completion, for each kind. */
const answers: { readonly [Kind in SignalKind]: (sizes: Sizes) => fc.Arbitrary<Answer> } = {
  full: ({ tokens, vocab }) => fc.record({ logprobs: floats(tokens), full: floats(tokens * vocab) }),
  hidden: ({ tokens, width, half }) =>
    fc.record({
      hidden: half
        ? integers(tokens * width, 0xffff).map((bits) => Uint16Array.from(bits))
        : floats(tokens * width, fc.float({ noNaN: true, noDefaultInfinity: true })),
    }),
  random_k: ({ tokens, vocab, k }) => {
    const drawn = Math.min(k, vocab);
    return fc.record({
      logprobs: floats(tokens),
      ids: integers(tokens * drawn, vocab - 1).map((ids) => Int32Array.from(ids)),
      counts: integers(tokens * drawn, 65_535).map((counts) => Uint16Array.from(counts)),
      entropy: floats(tokens, fc.float({ min: 0, max: 100, noNaN: true })),
    });
  },
  sampled: ({ tokens }) => fc.record({ logprobs: floats(tokens) }),
  student_top_k: (sizes) => top(sizes),
  top_k: (sizes) => top(sizes),
};

const top = ({ tokens, vocab, k }: Sizes) =>
  fc.record({
    logprobs: floats(tokens),
    ids: integers(tokens * k, vocab - 1).map((ids) => Int32Array.from(ids)),
    topLogprobs: floats(tokens * k),
    tail: floats(tokens),
  });

const sizes = fc.record({
  tokens: fc.nat(4),
  vocab: fc.integer({ min: 1, max: 6 }),
  k: fc.integer({ min: 1, max: 9 }),
  width: fc.integer({ min: 1, max: 5 }),
  half: fc.boolean(),
});

/** A score of a kind, with the sizes of it. */
const scores = (kind: SignalKind) =>
  sizes.chain((size) =>
    answers[kind](size).map((answer) => {
      const { largestK, needsHead } = signals[kind];
      const dtype = size.half ? ("float16" as const) : ("float32" as const);
      const signal = { kind, k: largestK ? size.k : 0, temperature: 0.7, ...(needsHead ? { hiddenDtype: dtype } : {}) };
      return { score: { signal, ...answer, ...(needsHead ? { headDigest: "h1" } : {}) } as Score, size };
    }),
  );

/** What the learner knows of a score besides its record. */
const contextOf = ({ signal, ids = new Int32Array() }: Score, { tokens, k }: Sizes): ScoreContext => ({
  signal,
  tokens,
  headDigest: "h1",
  ...(signals[signal.kind].studentChooses ? { studentTopIds: toRecord(ids, [tokens, k]) } : {}),
});

const sent = (score: Score, tokens: number): SequenceScore =>
  fromBinary(SequenceScoreSchema, toBinary(SequenceScoreSchema, create(SequenceScoreSchema, toScoreRecord(score, tokens))));

describe.each(signalKinds)("a score of kind %s", (kind) => {
  it("comes back from its record as it was, to the bit", () => {
    fc.assert(
      fc.property(scores(kind), ({ score, size }) => {
        const record = sent(score, size.tokens);
        expect(fromScoreRecord(record, contextOf(score, size))).toEqual(score);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it("takes as many bytes per token as its kind says, where as many classes were drawn as can be", () => {
    fc.assert(
      fc.property(scores(kind), ({ score, size: { tokens, vocab, width } }) => {
        const most = signals[kind].bytesPerToken(score.signal, { vocab, hidden: width });
        expect(payloadBytes(sent(score, tokens))).toBe(tokens * most);
      }),
      { seed: 2, numRuns: 100 },
    );
  });
});

describe("fromScoreRecord()", () => {
  const [tokens, vocab] = [2, 3];
  const context: ScoreContext = { signal: { kind: "full", k: 0, temperature: 1 }, tokens, headDigest: "" };
  const whole: Score = { signal: context.signal, logprobs: new Float32Array(tokens), full: new Float32Array(tokens * vocab) };
  const array = (data: Float32Array | Int32Array, shape: number[]): ArrayRecord => toRecord(data, shape);

  it.each<[string, Partial<SequenceScore>, RegExp]>([
    ["of another completion", { full: array(new Float32Array(9), [3, 3]) }, /full has the shape \[3, 3\]; expected \[2, any\]/],
    ["without rows", { full: array(new Float32Array(6), [6]) }, /full has the shape \[6\]; expected \[2, any\]/],
    ["with rows where there are none", { logprobs: array(new Float32Array(2), [2, 1]) }, /logprobs has the shape \[2, 1\]; expected \[2\]/],
    ["of another type", { full: array(new Int32Array(6), [2, 3]) }, /full: 24 bytes of INT32.*expected FLOAT32/],
    ["that is cut off", { full: { ...array(new Float32Array(6), [2, 3]), data: new Uint8Array(20) } }, /full: 20 bytes/],
    ["with NaN", { full: array(new Float32Array(6).fill(Number.NaN, 5), [2, 3]) }, /full\[5\] is NaN; look for overflow in the teacher/],
    ["with infinity", { logprobs: array(Float32Array.of(0, Number.POSITIVE_INFINITY), [2]) }, /logprobs\[1\] is Infinity/],
    ["with states in another type", { hidden: array(new Int32Array(2), [2, 1]) }, /hidden: 8 bytes of INT32/],
    ["with draws in another type", { counts: array(new Float32Array(2), [2, 1]) }, /counts: 8 bytes of FLOAT32.*expected UINT16/],
  ])("refuses an array %s", (_, change, message) => {
    expect(() => fromScoreRecord({ ...sent(whole, tokens), ...change }, context)).toThrow(
      expect.objectContaining({ code: "DataLoss", message: expect.stringMatching(message) }),
    );
  });

  it("refuses the student's classes in another shape", () => {
    const signal = { kind: "student_top_k", k: 3, temperature: 1 } as const;
    const studentTopIds = array(new Int32Array(3), [1, 3]);
    expect(() => fromScoreRecord(create(SequenceScoreSchema), { ...context, signal, studentTopIds })).toThrow(/ids has the shape \[1, 3\]/);
  });
});
