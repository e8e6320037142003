import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { batchOf, checkStep } from "../../../../services/learner/standalone/step-request.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { FinishReason, type SequenceSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import {
  type ScoredSequenceSchema,
  StepRequestSchema,
  type StepRequestValid,
} from "../../../../services/shared/gen/retort/v1/learner_pb.js";

const full = { kind: "full", k: 0, temperature: 1 } as const;
type Sequence = MessageInitShape<typeof SequenceSchema>;
type One = Omit<MessageInitShape<typeof ScoredSequenceSchema>, "sequence" | "$typeName"> & { readonly sequence?: Sequence };

function one(prompt: number, more: One = {}, sequence: Sequence = {}): One {
  return {
    ...more,
    sequence: { prompt, promptIds: toRecord(Int32Array.of(1, 2)), completionIds: toRecord(Int32Array.of(3, 4, 5)), ...sequence },
  };
}
const rewarded = (prompt: number, value: number) => one(prompt, { reward: { value } });
const request = (sequences: readonly One[], more: MessageInitShape<typeof StepRequestSchema> = {}) =>
  create(StepRequestSchema, { sequences: [...sequences], ...more }) as StepRequestValid;
const batch = (sequences: readonly One[], more: MessageInitShape<typeof StepRequestSchema> = {}, steps = 0) =>
  batchOf(request(sequences, more), full, "", steps);
const advantages = (sequences: readonly One[], baseline = "") =>
  batch(sequences, { objective: { baseline } }).batch.map(({ advantage }) => advantage);

describe("batchOf()", () => {
  it.each<[string, string, number[], number[]]>([
    ["none", "none", [0, 0, 1, 1], [1, 3, 10, 20]],
    ["group", "group", [0, 0, 1, 1], [-1, 1, -5, 5]],
    ["batch", "batch", [0, 0, 1, 1], [-7.5, -5.5, 1.5, 11.5]],
    ["group, where prompts have several samples", "", [0, 0, 1, 1], [-1, 1, -5, 5]],
    ["batch, where each has one", "", [0, 1, 2, 3], [-7.5, -5.5, 1.5, 11.5]],
  ])("takes the baseline %s", (_, baseline, prompts, expected) => {
    const values = [1, 3, 10, 20];
    expect(
      advantages(
        prompts.map((prompt, i) => rewarded(prompt, values[i]!)),
        baseline,
      ),
    ).toEqual(expected);
  });

  it("leaves failed sequences out, of batch and baseline, and counts them", () => {
    const sequences = [
      rewarded(0, 1),
      one(0, { reward: { value: 100, failure: "the judge is away" } }),
      one(0, { score: { failure: "too long" } }),
      one(0, {}, { failure: "not written", completionIds: undefined }),
      rewarded(0, 3),
    ];
    const { batch: kept, failedPrompts, reward } = batch(sequences);
    expect(kept.map(({ advantage }) => advantage)).toEqual([-1, 1]);
    expect([failedPrompts, reward]).toEqual([3, 2]);
  });

  it("reports lengths, ends and the age of what was sampled", () => {
    const versions = (...list: number[]) => ({ policyVersions: toRecord(Uint32Array.of(...list)) });
    const sequences = [one(0, {}, { ...versions(4, 4, 5), finish: FinishReason.STOP }), one(1, {}, versions(5, 5, 5))];
    const { meanLength, finishedShare, stalenessMean, stalenessMax } = batch(sequences, {}, 6);
    expect([meanLength, finishedShare, stalenessMean, stalenessMax]).toEqual([3, 0.5, 8 / 6, 2]);
  });

  it.each<[string, () => unknown, string]>([
    ["nothing but failures", () => batch([one(0, { reward: { failure: "away" } })]), "sequences have all failed; the first one: away"],
    ["some rewards missing", () => batch([rewarded(0, 1), one(1)]), "sequences[1].reward is missing"],
    [
      "no rewards where they enter",
      () => batch([one(0)], { objective: { alpha: 0.5 } }),
      "sequences[0].reward is missing, and objective.alpha is 0.5",
    ],
    ["a reward that is no number", () => batch([rewarded(0, Number.NaN)]), "sequences[0].reward.value is NaN"],
    [
      "versions of another length",
      () => batch([one(0, {}, { policyVersions: toRecord(Uint32Array.of(1)) })]),
      "policyVersions has 1 entries for 3",
    ],
    [
      "versions that do not exist yet",
      () => batch([one(0, {}, { policyVersions: toRecord(Uint32Array.of(0, 0, 9)) })], {}, 2),
      "names version 9; this learner has made 2 steps",
    ],
  ])("refuses %s", (_, call, message) => {
    expect(call).toThrow(message);
  });
});

describe("checkStep()", () => {
  const chosen = one(0, {}, { studentTopIds: toRecord(Int32Array.of(1, 2, 3), [3, 1]) });
  it.each<[string, MessageInitShape<typeof StepRequestSchema>]>([
    ["signal.k is 5; full has none", { signal: { ...full, k: 5 } }],
    [
      "signal.hiddenDtype is float32; top_k sends no hidden states",
      { signal: { kind: "top_k", k: 3, temperature: 1, hiddenDtype: "float32" } },
    ],
    ["signal.temperature is 1e-40", { signal: { ...full, temperature: 1e-40 } }],
    ["signal.temperature is 1e+40", { signal: { ...full, temperature: 1e40 } }],
    ["teacherModel is models/t; only the signal hidden reads it", { signal: full, teacherModel: "models/t" }],
    ["headDigest is abc; only the signal hidden reads it", { headDigest: "abc" }],
    ["sequences[1].sequence.studentTopIds is given; only the signal student_top_k reads it", { signal: full, sequences: [one(0), chosen] }],
  ])("says that %s", (message, fields) => {
    expect(() => checkStep(request([one(0)], fields))).toThrow(message);
  });

  it("takes what is read", () => {
    checkStep(request([one(0)]));
    checkStep(request([chosen], { signal: { kind: "student_top_k", k: 1, temperature: 1 } }));
    checkStep(
      request([one(0)], { signal: { kind: "hidden", temperature: 1, hiddenDtype: "float32" }, teacherModel: "m", headDigest: "d" }),
    );
  });
});
