import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { RunContext } from "../../../../services/learner/context/run-context.js";
import { assemble } from "../../../../services/learner/step/assemble.js";
import { SampleRecorder } from "../../../../services/learner/step/sample-recorder.js";
import { toRecord } from "../../../../services/shared/flow/arrays.js";
import { recordedMembers } from "../../../../services/shared/flow/prompts/plan.js";
import { sequencesDigest } from "../../../../services/shared/flow/rollouts/digest.js";
import { type RunEventSchema, type SamplesRecorded, SamplesRecordedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import {
  FinishReason,
  RewardSchema,
  RolloutSchema,
  type SequenceSchema,
  Source,
  TeacherScoreSchema,
} from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { runOf } from "../../../support/runs/run-spec.js";

type Event = NonNullable<MessageInitShape<typeof RunEventSchema>["event"]>;

/** A learner's surroundings that note what is told, and turn a token's id into its text. */
function surroundings(run = runOf([{ steps: 10 }]), mostBytes = 1e6) {
  const events: Event[] = [];
  const report = {
    mostBytes,
    event: async (event: Event) => void events.push(event),
    warning: async (message: string) => void events.push({ case: "warning", value: { message } }),
  };
  const host = { pieces: async (sequences: readonly Int32Array[]) => sequences.map((ids) => Array.from(ids, (id) => `<${id}>`)) };
  const context = { report, host, membership: { run } } as unknown as RunContext;
  const recorded = () => events.flatMap(({ case: kind, value }) => (kind === "samplesRecorded" ? [value as SamplesRecorded] : []));
  const warnings = () => events.flatMap((event) => (event.case === "warning" ? [event.value.message] : []));
  return { context, recorded, warnings };
}

const signal = { kind: "full", k: 0, temperature: 1 };

function assembled(count: number) {
  const sequences = Array.from(
    { length: count },
    (_, prompt): MessageInitShape<typeof SequenceSchema> => ({
      prompt,
      promptText: `prompt ${prompt}`,
      reference: "right",
      finish: prompt === 0 ? FinishReason.STOP : FinishReason.LENGTH,
      promptIds: toRecord(Int32Array.of(1)),
      completionIds: toRecord(Int32Array.of(prompt, 9)),
      samplerLogprobs: toRecord(Float32Array.of(-1, -2)),
      policyVersions: toRecord(Uint32Array.of(3, 4)),
    }),
  );
  const rollout = create(RolloutSchema, { source: Source.STUDENT, teacher: "maths", sequences, signal });
  const score = create(TeacherScoreSchema, {
    signal,
    sequencesDigest: sequencesDigest(rollout.sequences),
    scores: sequences.map(() => ({ logprobs: toRecord(Float32Array.of(-3, -4)), full: toRecord(new Float32Array(6), [2, 3]) })),
  });
  const rewards = sequences.map((_, i) => ({ value: i, components: { exact: i } }));
  const phase = runOf([{ steps: 9, objective: { baseline: "none" } }]).phases[0]!;
  return assemble([{ rollout, score, reward: create(RewardSchema, { rewards }) }], phase, 5);
}

const tokens = { divergence: Float32Array.of(0.5, 0.25), entropy: Float32Array.of(1, 2), logprobs: Float32Array.of(-1.5, -2.5) };

async function record(recorder: SampleRecorder, ...what: Parameters<SampleRecorder["record"]>): Promise<void> {
  await recorder.record(...what);
  await recorder.published();
}

describe("SampleRecorder", () => {
  it("records a sequence with what the step, the sampler, the teacher and the rewards said of it", async () => {
    const { context, recorded } = surroundings();
    await record(new SampleRecorder(context), 5, assembled(3), [1], [tokens]);
    expect(recorded()).toEqual([
      {
        step: 5,
        samples: [
          {
            ...{ prompt: "prompt 1", reference: "right", tokens: ["<1>", "<9>"], finished: false },
            ...{ divergence: [0.5, 0.25], entropy: [1, 2], learnerLogprobs: [-1.5, -2.5] },
            ...{ samplerLogprobs: [-1, -2], teacherLogprobs: [-3, -4], advantage: [1, 1] },
            ...{ teacher: "maths", staleness: 1, source: Source.STUDENT, reward: 1, rewardComponents: { exact: 1 } },
          },
        ],
      },
    ]);
  });

  it("cuts what is too large for one event, and loses nothing of it", async () => {
    const one = create(SamplesRecordedSchema, { step: 5 });
    const { context, recorded, warnings } = surroundings(runOf([{ steps: 10 }]), 400);
    await record(new SampleRecorder(context), 5, assembled(6), [0, 1, 2, 3, 4, 5], Array(6).fill(tokens));
    expect(recorded().length).toBeGreaterThan(1);
    expect(recorded().flatMap(({ samples }) => samples.map(({ prompt }) => prompt))).toEqual([0, 1, 2, 3, 4, 5].map((i) => `prompt ${i}`));
    expect(recorded().every(({ step }) => step === one.step)).toBe(true);
    expect(warnings()).toEqual([]);
  });

  it("says so where a sample is too large for any event", async () => {
    const { context, recorded, warnings } = surroundings(runOf([{ steps: 10 }]), 50);
    await record(new SampleRecorder(context), 5, assembled(1), [0], [tokens]);
    expect(recorded()).toEqual([]);
    expect(warnings()).toEqual([expect.stringMatching(/^a sample of step 5 takes \d+ bytes, and the NATS server's max_payload leaves 50/)]);
  });

  it("stops at its budget, says so once, and asks for no more", async () => {
    const { context, recorded, warnings } = surroundings();
    const recorder = new SampleRecorder(context, 250);
    expect(recorder.members(1, 8)).toHaveLength(4);
    await record(recorder, 1, assembled(4), [0, 1, 2, 3], Array(4).fill(tokens));
    expect(recorded()[0]!.samples.length).toBeLessThan(4);
    expect(recorder.members(2, 8)).toEqual([]);
    expect(new Set(warnings()).size).toBe(1);
    expect(warnings()[0]).toMatch(/tracking\.everySteps/);
  });
});

describe("recordedMembers()", () => {
  const run = (tracking: { samples?: number; everySteps?: number } | undefined, seed = 1) => runOf([{ steps: 1000 }], { seed, tracking });

  it("draws by seed and step, each member at most once", () => {
    const drawn = (seed: number, step: number) => recordedMembers(run({ samples: 5, everySteps: 1 }, seed), step, 64);
    expect(drawn(1, 7)).toEqual(drawn(1, 7));
    expect(drawn(1, 7)).not.toEqual(drawn(1, 8));
    expect(drawn(1, 7)).not.toEqual(drawn(2, 7));
    expect(new Set(drawn(1, 7)).size).toBe(5);
    expect(drawn(1, 7).every((member) => member >= 0 && member < 64)).toBe(true);
  });

  it("records the first step and every so many after it, 100 of a run by default", () => {
    const steps = (tracking: Parameters<typeof run>[0]) =>
      Array.from({ length: 1000 }, (_, i) => i + 1).filter((step) => recordedMembers(run(tracking), step, 8).length > 0);
    expect(steps({ everySteps: 300 })).toEqual([1, 300, 600, 900]);
    expect(steps(undefined)).toHaveLength(101);
    expect(steps({ samples: 0 })).toEqual([]);
  });

  it("takes a small batch whole", () => {
    expect(recordedMembers(run({ samples: 256 }), 1, 3)).toEqual([0, 1, 2]);
  });
});
