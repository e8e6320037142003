import { create } from "@bufbuild/protobuf";
import type { CrossedText } from "../../../../services/learner/model/train-host.js";
import { alignResults } from "../../../../services/learner/tasks/align-results.js";
import type { CompleteResults } from "../../../../services/learner/tasks/results-reader.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import {
  RolloutSchema,
  SequenceSchema,
  SequenceScoreSchema,
  TeacherScoreSchema,
} from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { spanRanks } from "../../../../services/shared/ml/text/span-ranks.js";

const k = 2;
const signal = { kind: "top_k", k, temperature: 1, tokenizer: "own" };
const sequence = () => create(SequenceSchema, { completionIds: toRecord(Int32Array.of(3, 4, 5)), completionText: "abc" });
/** A score over the teacher's own tokens, of so many bytes each. */
const scoreOf = (...lengths: number[]) =>
  create(SequenceScoreSchema, {
    logprobs: toRecord(Float32Array.from(lengths, () => -1)),
    byteLengths: toRecord(Uint16Array.from(lengths)),
    ids: toRecord(new Int32Array(k * lengths.length), [lengths.length, k]),
    topLogprobs: toRecord(
      Float32Array.from({ length: k * lengths.length }, () => Math.log(0.25)),
      [lengths.length, k],
    ),
    tailLogprobs: toRecord(Float32Array.from(lengths, () => Math.log(0.5))),
  });

/** The trainer's thread, of a student whose tokens write so many bytes each. */
const hostOf = (written: readonly { readonly lengths: number[]; readonly noText: boolean }[]) =>
  ({
    writtenTokens: () =>
      Promise.resolve(
        written.map(({ lengths, noText }) => ({
          ...{ byteLengths: Uint16Array.from(lengths), beginsWord: new Uint8Array(lengths.length), noText },
        })),
      ),
    spanRanks: (texts: readonly CrossedText[]) =>
      Promise.resolve(texts.map(({ read, written, rows }) => spanRanks(read, written, rows, 9))),
    nextTokens: () => Promise.reject(new Error("not asked for")),
  }) as unknown as Parameters<typeof alignResults>[0];

describe("alignResults(), by rank", () => {
  it("has the teacher's classes at the end of each span; a text without one has no span in common", async () => {
    const scores = [scoreOf(1, 1, 1), scoreOf(1)];
    const results = [
      {
        rollout: create(RolloutSchema, { sequences: [sequence(), sequence()], signal, teacher: "default" }),
        score: create(TeacherScoreSchema, { scores }),
      },
    ] as unknown as CompleteResults[];
    // The second one begins with a token that no text has.
    const host = hostOf([
      { lengths: [1, 2], noText: false },
      { lengths: [], noText: true },
    ]);
    const found = await alignResults(host, results, true);
    expect([...found.keys()]).toEqual([scores[0]]);
    const { next, tokens } = found.get(scores[0]!)!;
    expect([tokens, next!.known, "before" in next! && next.before]).toEqual([2, Uint8Array.of(1, 1), Float32Array.of(0, -1)]);
  });
});
