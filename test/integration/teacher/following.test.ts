import { create, fromBinary } from "@bufbuild/protobuf";
import { toFloat32, toRecord } from "../../../services/shared/flow/arrays.js";
import { publishRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import {
  Purpose,
  type Rollout,
  RolloutSchema,
  Source,
  type TeacherScore,
  TeacherScoreSchema,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { float32 } from "../../../services/shared/ml/graph/tensor.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { headDigest, type Model } from "../../../services/shared/ml/models/model.js";
import { headName } from "../../../services/shared/ml/models/model-params.js";
import { Scorer } from "../../../services/shared/ml/scoring/scorer.js";
import { expectAllClose } from "../../support/jest/all-close.js";
import { example, RunBench } from "../../support/runs/run-bench.js";

const sampled = { kind: "sampled", k: 0, temperature: 1 };
const hidden = { kind: "hidden", k: 0, temperature: 1, hiddenDtype: "float32" };

// The test is the learner (versions) and the student (rollouts).
describe("a teacher process whose model is the student", () => {
  let bench: RunBench;
  let student: Model;
  const durable = durables.teacher("bench", "default");

  /** The student as it may be after some steps. */
  const trained = (version: number): Model => ({
    ...student,
    params: new Map(
      [...student.params].map(([name, { dims, data }]) => [
        name,
        float32(
          data.map((value) => value * (1 + version / 50)),
          dims,
        ),
      ]),
    ),
  });

  beforeAll(async () => {
    bench = await RunBench.start(
      "teachers: [{ model: models/student, follow: { everySteps: 1 } }]\nrollouts: { maxStaleness: 1 }\nphases: [{ preset: on_policy_kd, steps: 20, objective: { signal: hidden } }]",
    );
    student = await loadModel(example("models/student"));
    await bench.announce(0, trained(0));
    bench.role("teacher", "--teacher=default");
  });
  afterAll(() => bench.stop());

  let next = 0;
  const rolloutOf = (fields: {
    teacherVersion?: number;
    step?: number;
    attempt?: number;
    source?: Source;
    signal?: typeof sampled;
  }): Rollout => {
    const { step = 1, attempt = 1, source = Source.STUDENT, signal = sampled, teacherVersion } = fields;
    const completionIds = student.tokenizer.encode("twelve");
    const versions = source === Source.STUDENT && { policyVersions: toRecord(new Uint32Array(completionIds.length).fill(step - 1)) };
    return create(RolloutSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step, task: next++, attempt },
      source,
      sequences: [
        { promptIds: toRecord(student.tokenizer.encode("12=", { addSpecial: true })), completionIds: toRecord(completionIds), ...versions },
      ],
      teacher: "default",
      signal,
      ...(teacherVersion !== undefined && { teacherVersion }),
    });
  };
  const scoreOf = async ({ key }: Rollout): Promise<TeacherScore> => fromBinary(TeacherScoreSchema, await bench.result(key!, "score"));

  async function expected(version: number, rollout: Rollout): Promise<Float32Array> {
    const { config, params, tokenizer } = trained(version);
    const scorer = new Scorer(config, params, { device: "cpu", threads: 1, batchTokens: 1000 });
    const input = { promptIds: tokenizer.encode("12=", { addSpecial: true }), completionIds: tokenizer.encode("twelve") };
    const [score] = await scorer.score([input], { kind: "sampled", k: 0, temperature: 1 });
    await scorer.release();
    expect(rollout.sequences).toHaveLength(1);
    return score!.logprobs!;
  }

  it("scores with the version that a rollout asks for, waits for one that isn't there yet, and says which it was", async () => {
    const first = rolloutOf({ teacherVersion: 0 });
    const early = rolloutOf({ teacherVersion: 2, step: 4 });
    await publishRollout(bench.streams, first);
    const zero = await scoreOf(first);
    await publishRollout(bench.streams, early);
    await bench.inHand(streamNames.rollouts, durable);
    await bench.announce(1, trained(1));
    const second = rolloutOf({ teacherVersion: 1, step: 3 });
    await publishRollout(bench.streams, second);
    const one = await scoreOf(second);
    expect(await bench.stored(early.key!, "score")).toBeUndefined();
    await bench.announce(2, trained(2));
    const two = await scoreOf(early);
    for (const [score, rollout, version] of [
      [zero, first, 0],
      [one, second, 1],
      [two, early, 2],
    ] as const) {
      expect(score.teacherVersion).toBe(version);
      expectAllClose(toFloat32(score.scores[0]!.logprobs, "logprobs"), await expected(version, rollout), { rtol: 1e-4 });
    }
    expect(new Set([zero, one, two].map(({ teacherDigest }) => teacherDigest)).size).toBe(3);
  });

  it("goes back to a version, names its head, and keeps scores of dataset text for each version by itself", async () => {
    const scored = async (teacherVersion: number, signal = sampled) => {
      const rollout = rolloutOf({ teacherVersion, step: 4, source: Source.DATASET, signal });
      await publishRollout(bench.streams, rollout);
      return scoreOf(rollout);
    };
    const [two, one, again] = [await scored(2), await scored(1), await scored(2)];
    expect([two, one, again].map(({ cacheHits }) => cacheHits)).toEqual([0, 0, 1]);
    expect(again.scores).toEqual(two.scores);
    expect(one.scores).not.toEqual(two.scores);
    const { config, params } = trained(2);
    const head = { ...params.get(headName(config))!, softCap: config.logitSoftCap };
    expect((await scored(2, hidden)).headDigest).toBe(headDigest(head));
    expect((await scored(1, hidden)).headDigest).not.toBe(headDigest(head));
  });

  it("records as failed what names no version, and drops what no learner waits for any more", async () => {
    const nameless = rolloutOf({});
    const late = rolloutOf({ teacherVersion: 1, step: 2 });
    const replaced = rolloutOf({ teacherVersion: 2, step: 4 });
    await publishRollout(bench.streams, nameless);
    expect((await scoreOf(nameless)).scores[0]!.failure).toMatch(/names no teacherVersion, and this teacher follows the student/);
    await publishRollout(bench.streams, late);
    await bench.idle(streamNames.rollouts, durable);
    await bench.runs.setPolicy("bench", { version: 2, fence: 2n });
    await publishRollout(bench.streams, replaced);
    await bench.idle(streamNames.rollouts, durable);
    for (const { key } of [late, replaced]) expect(await bench.stored(key!, "score")).toBeUndefined();
  });
});
