import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type PlannedTask, soundResults } from "../../../../services/learner/tasks/planned-task.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import {
  Purpose,
  type Rollout,
  RolloutSchema,
  type SequenceSchema,
  Source,
  TeacherScoreSchema,
} from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const signal = { kind: "top_k", k: 2 };
const planned: PlannedTask = {
  key: { runId: "r", purpose: Purpose.TRAIN, step: 4, task: 0, attempt: 2 },
  prompts: [
    { row: 7, ids: Int32Array.of(1, 2) },
    { row: 9, ids: Int32Array.of(3) },
  ],
  samplesPerPrompt: 2,
  source: Source.STUDENT,
  maxNewTokens: 3,
  maxReplyTokens: 0,
  versions: { min: 2, max: 3 },
  teacher: "default",
  signal,
  rewarded: true,
};

/** Sample `sample` of prompt `prompt`, as an honest student writes it. */
const written = (prompt: number, sample: number, fields: MessageInitShape<typeof SequenceSchema> = {}) => ({
  prompt,
  sample,
  index: planned.prompts[prompt]!.row,
  promptIds: toRecord(planned.prompts[prompt]!.ids),
  completionIds: toRecord(Int32Array.of(5, 6)),
  samplerLogprobs: toRecord(Float32Array.of(-1, -2)),
  policyVersions: toRecord(Uint32Array.of(2, 3)),
  ...fields,
});
const honest = () => [written(0, 0), written(0, 1), written(1, 0), written(1, 1)];

function rolloutOf(fields: MessageInitShape<typeof RolloutSchema> = {}): Rollout {
  const { key, teacher, rewarded, source } = planned;
  const asked = { key, teacher, rewarded, source, signal: { ...signal, temperature: 1 }, sequences: honest() };
  return create(RolloutSchema, { ...asked, ...fields } as MessageInitShape<typeof RolloutSchema>);
}

const failuresOf = (rollout: Rollout): string[] =>
  soundResults([{ rollout }], [planned])[0]!.rollout!.sequences.map(({ failure }) => failure);

describe("soundResults()", () => {
  it("fails what was scored with another version of the student than the task asked for, whichever role lost it", () => {
    const asked = { ...planned, teacherVersion: 3 };
    const failures = (task: PlannedTask, rollout: Rollout, teacherVersion?: number, failure = "") => {
      const score = create(TeacherScoreSchema, {
        scores: honest().map(() => ({ failure })),
        ...(teacherVersion !== undefined && { teacherVersion }),
      });
      return soundResults([{ rollout, score }], [task])[0]!.rollout.sequences.map((sequence) => sequence.failure);
    };
    const sound = rolloutOf({ teacherVersion: 3 });
    const none = ["", "", "", ""];
    expect(failures(asked, sound, 3)).toEqual(none);
    expect(failures(planned, rolloutOf())).toEqual(none);
    // The failure itself is the score's.
    expect(failures(asked, sound, undefined, "lost")).toEqual(none);
    const every = (what: RegExp) => none.map(() => expect.stringMatching(what));
    expect(failures(asked, sound, 2)).toEqual(every(/scored with version 2 of the student, and version 3 was asked for/));
    expect(failures(asked, sound)).toEqual(every(/scored with version undefined/));
    expect(failures(planned, rolloutOf(), 0)).toEqual(every(/scored with version 0/));
    expect(failures(asked, rolloutOf(), 3)).toEqual(every(/asks for version undefined of the teacher, and the task for 3/));
  });

  it("fails the samples whose prompt for the teacher is not what was sent", () => {
    const teacherPromptIds = toRecord(Int32Array.of(8));
    const sent = { ...planned, prompts: planned.prompts.map((prompt) => ({ ...prompt, teacherPromptIds: Int32Array.of(8) })) };
    const honestly = honest().map((sequence) => ({ ...sequence, teacherPromptIds }));
    const failures = (sequences: MessageInitShape<typeof SequenceSchema>[], task: PlannedTask) =>
      soundResults([{ rollout: rolloutOf({ sequences }) }], [task])[0]!.rollout.sequences.map(({ failure }) => failure);
    const other = { ...honestly[0]!, teacherPromptIds: toRecord(Int32Array.of(9)) };
    const wrong = "prompt 0 has other token ids for the teacher than were sent";
    expect(failures(honestly, sent)).toEqual(["", "", "", ""]);
    expect(failures([other, honest()[1]!, ...honestly.slice(2)], sent)).toEqual([wrong, wrong, "", ""]);
    expect(failures([honestly[0]!, ...honest().slice(1)], planned)).toEqual([wrong, "", "", ""]);
  });

  it("fails the samples whose replies are none that an environment may have made", () => {
    const reply = (at: number, ids: readonly number[]) => ({ at, ids: toRecord(Int32Array.from(ids)) });
    const asked = { ...planned, maxReplyTokens: 3 };
    const failureOf = (replies: ReturnType<typeof reply>[], task = asked) => {
      const sequences = [written(0, 0, { replies }), ...honest().slice(1)];
      return soundResults([{ rollout: rolloutOf({ sequences }) }], [task])[0]!.rollout.sequences[0]!.failure;
    };
    expect(failureOf([reply(1, [7, 8, 9])])).toBe("");
    expect(failureOf([reply(1, [7, 8, 9, 9])])).toBe("its replies have 4 tokens; at most 3 were asked for");
    expect(failureOf([reply(1, [7])], planned)).toBe("its replies have 1 token; at most 0 were asked for");
    expect(failureOf([reply(2, [7])])).toMatch(/replies\[0\]\.at is 2; it must lie above 0 and below the completion's 2/);
    expect(failureOf([reply(1, [-7])])).toBe("a reply has a negative token id");
  });

  it("leaves what is as it was asked", () => {
    const rollout = rolloutOf();
    const [sound] = soundResults([{ rollout }], [planned]);
    expect(sound!.rollout).toEqual(rollout);
  });

  it.each<[string, MessageInitShape<typeof RolloutSchema>, RegExp]>([
    ["is another learner's", { key: { ...planned.key, attempt: 1 } }, /its key has attempt 1, and the task 2/],
    ["is another run's", { key: { ...planned.key, runId: "s" } }, /runId s/],
    ["is another step's", { key: { ...planned.key, step: 5 } }, /step 5/],
    ["has no key", { key: undefined }, /runId undefined/],
    ["is dataset text", { source: Source.DATASET }, /DATASET/],
    ["names another teacher", { teacher: "other" }, /teacher "other"/],
    ["asks for no reward", { rewarded: false }, /does not ask for a reward/],
    ["asks for another signal", { signal: { kind: "top_k", k: 64, temperature: 1 } }, /k=64/],
    ["has a sample too few", { sequences: honest().slice(1) }, /3 sequences for 2 prompts with 2 samples/],
    [
      "has a sample twice",
      { sequences: [written(0, 0), written(0, 0), written(1, 0), written(1, 1)] },
      /sequence 1 is sample 0 of prompt 0/,
    ],
    ["has another row", { sequences: [written(0, 0, { index: 8 }), ...honest().slice(1)] }, /row 8 of the dataset, and row 7 was sent/],
  ])("fails every sample of a task whose rollout %s", (_, fields, reason) => {
    const failures = failuresOf(rolloutOf(fields));
    expect(failures).toHaveLength(4);
    for (const failure of failures) expect(failure).toMatch(reason);
  });

  it.each<[string, MessageInitShape<typeof SequenceSchema>, RegExp]>([
    ["has other prompt tokens", { promptIds: toRecord(Int32Array.of(1, 3)) }, /other token ids than were sent/],
    ["has no tokens", { completionIds: toRecord(new Int32Array(0)) }, /0 tokens; 1 to 3/],
    ["is longer than was asked", { completionIds: toRecord(new Int32Array(4)) }, /4 tokens; 1 to 3/],
    ["has a negative token", { completionIds: toRecord(Int32Array.of(5, -1)) }, /negative token id/],
    ["lacks log-probabilities", { samplerLogprobs: undefined }, /samplerLogprobs is missing/],
    ["has too few log-probabilities", { samplerLogprobs: toRecord(Float32Array.of(-1)) }, /2 tokens have 1 samplerLogprobs/],
    ["has a log-probability that is NaN", { samplerLogprobs: toRecord(Float32Array.of(-1, Number.NaN)) }, /samplerLogprobs\[1\] is NaN/],
    ["has a log-probability above 0", { samplerLogprobs: toRecord(Float32Array.of(2, -1)) }, /samplerLogprobs\[0\] is 2/],
    ["is too old", { policyVersions: toRecord(Uint32Array.of(1, 2)) }, /sampled 2 versions before its step; maxStaleness is 1/],
    ["was sampled by a version that does not exist yet", { policyVersions: toRecord(Uint32Array.of(3, 4)) }, /version 4; 2 to 3/],
    ["has bytes that do not fit their shape", { completionIds: { ...toRecord(Int32Array.of(1)), shape: [2] } }, /shape \[2\]/],
  ])("fails a sequence that %s, and no other", (_, fields, reason) => {
    const failures = failuresOf(rolloutOf({ sequences: [written(0, 0), written(0, 1, fields), written(1, 0), written(1, 1)] }));
    expect(failures[1]).toMatch(reason);
    expect([failures[0], failures[2], failures[3]]).toEqual(["", "", ""]);
  });

  it("keeps the reason of a sequence that failed where it was made", () => {
    const sequences = [{ prompt: 0, sample: 0, index: 7, failure: "too long" }, ...honest().slice(1)];
    expect(failuresOf(rolloutOf({ sequences }))).toEqual(["too long", "", "", ""]);
  });

  it("fails every sample of a task of which a record cannot be read", () => {
    const [sound] = soundResults([{ unreadable: "its score cannot be read" }], [planned]);
    expect(sound!.rollout!.sequences.map(({ failure }) => failure)).toEqual(
      Array(4).fill(expect.stringMatching(/its score cannot be read/)),
    );
  });
});
