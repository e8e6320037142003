import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { assemble } from "../../../../services/learner/step/assemble.js";
import type { CompleteResults } from "../../../../services/learner/tasks/results-reader.js";
import { toHalfRecord, toRecord } from "../../../../services/shared/flow/arrays.js";
import { sequencesDigest } from "../../../../services/shared/flow/rollouts/digest.js";
import { type Phase, resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import {
  FinishReason,
  RewardSchema,
  RolloutSchema,
  type SequenceScoreSchema,
  Source,
  TeacherScoreSchema,
} from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const vocab = 3;
const lengths = [2, 3];

function phaseOf(objective: Record<string, unknown> = {}): Phase {
  const spec = create(RunSpecSchema, {
    name: "test",
    student: { model: "x" },
    data: { path: "x" },
    phases: [{ steps: 5, preset: "on_policy_kd", objective }],
  });
  return resolveRun(spec).phases[0]!;
}

type Score = MessageInitShape<typeof SequenceScoreSchema>;
const uniform = (elements: number) => new Float32Array(elements).fill(-Math.log(vocab));
const fullScore = (n: number): Score => ({ logprobs: toRecord(uniform(n)), full: toRecord(uniform(n * vocab), [n, vocab]) });

/** What arrives for a task of two sequences: sampled by the student, scored and rewarded. */
function results({
  signal = { kind: "full", k: 0, temperature: 1 },
  given = signal,
  scores = lengths.map(fullScore),
  sequence = {},
  rewards = [0.5, 1.5],
  digest,
  teacherDigest = "a1",
}: {
  signal?: Record<string, unknown>;
  given?: Record<string, unknown>;
  scores?: Score[];
  sequence?: Record<string, unknown>;
  rewards?: number[];
  digest?: string;
  teacherDigest?: string;
} = {}): CompleteResults {
  const key = { runId: "test", purpose: 1, step: 3, task: 0, attempt: 1 };
  const rollout = create(RolloutSchema, {
    key,
    source: Source.STUDENT,
    teacher: "default",
    signal,
    sequences: lengths.map((length, prompt) => ({
      prompt,
      promptIds: toRecord(Int32Array.of(1)),
      completionIds: toRecord(new Int32Array(length).fill(2)),
      samplerLogprobs: toRecord(uniform(length)),
      policyVersions: toRecord(new Uint32Array(length).fill(1)),
      finish: FinishReason.STOP,
      ...sequence,
    })),
  });
  const score = create(TeacherScoreSchema, {
    key,
    teacher: "default",
    teacherDigest,
    headDigest: "h1",
    signal: given,
    sequencesDigest: digest ?? sequencesDigest(rollout.sequences),
    scores,
  });
  return { rollout, score, reward: create(RewardSchema, { key, rewards: rewards.map((value) => ({ value })) }) };
}

const bad = (field: "full" | "logprobs", value: number): Score[] =>
  lengths.map((n) => {
    const score = fullScore(n);
    const elements = field === "full" ? n * vocab : n;
    const data = uniform(elements).with(elements - 1, value);
    return { ...score, [field]: toRecord(data, field === "full" ? [n, vocab] : [n]) };
  });

describe("assemble(), of each signal", () => {
  it("takes the student's own classes from the rollout, and counts their bytes", () => {
    const signal = { kind: "student_top_k", k: 2, temperature: 1 };
    const scores = lengths.map((n) => ({
      logprobs: toRecord(uniform(n)),
      topLogprobs: toRecord(uniform(n * 2), [n, 2]),
      tailLogprobs: toRecord(uniform(n)),
    }));
    const result = results({ signal, scores });
    result.rollout.sequences.forEach((sequence, i) => {
      sequence.studentTopIds = toRecord(
        Int32Array.from({ length: 2 * lengths[i]! }, (_, j) => j % 3),
        [lengths[i]!, 2],
      );
    });
    result.score!.sequencesDigest = sequencesDigest(result.rollout.sequences);
    const { batch, signalBytesPerToken } = assemble([result], phaseOf({ signal: "student_top_k", topK: 2 }), 3);
    expect([...batch[0]!.score!.ids!]).toEqual([0, 1, 2, 0]);
    expect(signalBytesPerToken).toBe(8 * 2 + 8);
  });

  it("keeps the bits of hidden states and the name of their head", () => {
    const signal = { kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float16" };
    const scores = lengths.map((n) => ({ hidden: toHalfRecord(new Uint16Array(n * 4).fill(0x3c00), [n, 4]) }));
    const { batch, signalBytesPerToken } = assemble([results({ signal, scores })], phaseOf({ signal: "hidden" }), 3);
    expect(batch[1]!.score).toMatchObject({ headDigest: "h1", hidden: new Uint16Array(12).fill(0x3c00) });
    expect(signalBytesPerToken).toBe(8);
  });

  it("cuts what does not count, after the reward has judged it all", () => {
    const { batch, meanLength } = assemble([results()], phaseOf({ prefixTokens: 1 }), 3);
    for (const { completionIds, samplerLogprobs, score, advantage } of batch) {
      expect([completionIds.length, samplerLogprobs!.length, score!.logprobs!.length, score!.full!.length]).toEqual([1, 1, 1, vocab]);
      expect(advantage).not.toBe(0);
    }
    expect(meanLength).toBe(2.5);
  });

  it.each<[string, Parameters<typeof results>[0], RegExp]>([
    ["of another length", { scores: [fullScore(2)] }, /task 0: the teacher's score has 1 entry for 2 sequences/],
    ["of other sequences", { digest: "00" }, /belongs to other sequences \(digest\)/],
    [
      "at another temperature",
      { given: { kind: "full", k: 0, temperature: 2 } },
      /full k=0 temperature=2, and full k=0 temperature=1 was asked for/,
    ],
    ["of another signal", { given: { kind: "top_k", k: 4, temperature: 1 } }, /made with top_k k=4 temperature=1, and full k=0/],
    [
      "with states of another type",
      {
        signal: { kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float16" },
        given: { kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" },
      },
      /float32, and hidden k=0 temperature=1 float16 was asked for/,
    ],
    ["with NaN", { scores: bad("full", Number.NaN) }, /the teacher's full\[5\] is NaN; look for overflow in the teacher/],
    ["with infinity", { scores: bad("logprobs", Number.POSITIVE_INFINITY) }, /the teacher's logprobs\[1\] is Infinity/],
  ])("refuses a score %s", (_, what, message) => {
    expect(() => assemble([results(what)], phaseOf(), 3)).toThrow(message);
  });

  it("refuses two teachers of one name that are not the same", () => {
    expect(() => assemble([results(), results({ teacherDigest: "b2" })], phaseOf(), 3)).toThrow(
      /task 1: the teacher's score was made by "default" with weights b2, others of the step with a1/,
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses a reward of %d", (value) => {
    expect(() => assemble([results({ rewards: [1, value] })], phaseOf(), 3)).toThrow(
      new RegExp(`task 0: rewards\\[1\\]\\.value is ${value}; a reward must be a finite number`),
    );
  });
});
