import { create } from "@bufbuild/protobuf";
import type { PlannedTask } from "../../../services/learner/tasks/planned-task.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { toRecord } from "../../../services/shared/flow/arrays.js";
import { sequencesDigest } from "../../../services/shared/flow/rollouts/digest.js";
import { RunEventSchema } from "../../../services/shared/gen/retort/v1/events_pb.js";
import {
  PromptTaskSchema,
  Purpose,
  RewardSchema,
  RolloutSchema,
  Source,
  StepAccountSchema,
  TeacherScoreSchema,
  WeightsManifestSchema,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { RunSchema, RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { specOf } from "../runs/run-spec.js";

/** Vocabulary of the records' model. */
export const vocab = 5;

const key = { runId: "r", purpose: Purpose.TRAIN, step: 4, task: 0, attempt: 2 };
const signal = { kind: "full", k: 0, temperature: 1 };
const prompts = [
  { row: 7, ids: Int32Array.of(1, 2) },
  { row: 9, ids: Int32Array.of(3) },
];

/** A task of two prompts with two samples each, as its learner issued it. */
export const planned: PlannedTask = {
  key,
  prompts,
  samplesPerPrompt: 2,
  source: Source.STUDENT,
  maxNewTokens: 3,
  maxReplyTokens: 0,
  versions: { min: 2, max: 3 },
  teacher: "default",
  signal,
  rewarded: true,
};

/** The task as a record. */
export const task = create(PromptTaskSchema, {
  key,
  prompts: prompts.map(({ row, ids }) => ({ index: row, ids: toRecord(ids), text: "x", reference: "y" })),
  samplesPerPrompt: 2,
  sampling: { temperature: 1, maxNewTokens: 3 },
  seed: 5n,
  minPolicyVersion: 2,
  maxPolicyVersion: 3,
  teacher: "default",
  signal,
  rewarded: true,
});

/** What an honest student makes of it. */
export const rollout = create(RolloutSchema, {
  key,
  source: Source.STUDENT,
  teacher: "default",
  rewarded: true,
  signal,
  seconds: 1,
  sequences: [0, 1, 2, 3].map((i) => ({
    prompt: i >> 1,
    sample: i & 1,
    index: prompts[i >> 1]!.row,
    promptIds: toRecord(prompts[i >> 1]!.ids),
    completionIds: toRecord(Int32Array.of(4, 2)),
    samplerLogprobs: toRecord(Float32Array.of(-1, -2)),
    policyVersions: toRecord(Uint32Array.of(2, 3)),
    completionText: "z",
  })),
});

/** What an honest teacher says of it. */
export const score = create(TeacherScoreSchema, {
  key,
  teacher: "default",
  teacherDigest: "d",
  signal,
  sequencesDigest: sequencesDigest(rollout.sequences),
  seconds: 1,
  scores: rollout.sequences.map(() => ({
    logprobs: toRecord(new Float32Array(2).fill(-Math.log(vocab))),
    full: toRecord(new Float32Array(2 * vocab).fill(-Math.log(vocab)), [2, vocab]),
  })),
});

/** What an honest judge says of it. */
export const reward = create(RewardSchema, {
  key,
  rewards: [1, 0, 0.5, 2].map((value) => ({ value, components: { length: value } })),
  seconds: 1,
});

const tasks = [
  { task: 0, rows: [7, 9], samplesPerPrompt: 2, trained: new Uint8Array([7]), outcomes: [{ prompt: 1, sample: 1, reason: "no" }] },
];

/** The account of its step. */
export const account = create(StepAccountSchema, { runId: "r", step: 4, fence: 2n, fromStep: 3, tasks });

/** One record of every kind that goes over NATS. */
export const records = [
  [PromptTaskSchema, task],
  [RolloutSchema, rollout],
  [TeacherScoreSchema, score],
  [RewardSchema, reward],
  [StepAccountSchema, account],
  [RunEventSchema, create(RunEventSchema, { runId: "r", event: { case: "stateChanged", value: { state: RunState.RUNNING } } })],
  [RunSchema, create(RunSchema, { runId: "r", spec: specOf(), state: RunState.RUNNING, totalSteps: 9, fence: 2n })],
  [
    WeightsManifestSchema,
    create(WeightsManifestSchema, { runId: "r", version: 1, fence: 2n, files: [{ name: "a", sizeBytes: 3n, digest: "0a" }] }),
  ],
] as const;

/** Streams that take what is published and keep it, by subject. */
export function keepingStreams(): { readonly streams: Streams; readonly kept: Map<string, Uint8Array> } {
  const kept = new Map<string, Uint8Array>();
  const publish = async (subject: string, data: Uint8Array) => {
    // As nats-server has it: a subject is made of tokens without spaces or wildcards.
    if (/[\s*>\0]|\.\.|^\.|\.$/.test(subject)) throw new Error(`no subject: ${subject}`);
    kept.set(subject, data);
    return { duplicate: false };
  };
  const fake = {
    js: { publish },
    live: (work: () => Promise<unknown>) => work(),
    connection: { info: { max_payload: 8 * 1024 * 1024 } },
    patienceMs: 100,
    givenUp: false,
  };
  return { streams: fake as unknown as Streams, kept };
}
