import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { toFloat32, toInt32, toRecord } from "../../../services/shared/flow/arrays.js";
import { publishTask } from "../../../services/shared/flow/prompts/publish-task.js";
import { publishScore } from "../../../services/shared/flow/results/publish-results.js";
import { sequencesDigest } from "../../../services/shared/flow/rollouts/digest.js";
import { publishRollout, RolloutSender, readRollout } from "../../../services/shared/flow/rollouts/publish-rollout.js";
import { TeacherPools } from "../../../services/shared/flow/runs/teacher-pools.js";
import { durables, streamNames } from "../../../services/shared/flow/streams.js";
import { subjects } from "../../../services/shared/flow/subjects.js";
import {
  PromptTaskSchema,
  Purpose,
  type Rollout,
  RolloutSchema,
  type SequenceSchema,
  Source,
  type TeacherScore,
  TeacherScoreSchema,
} from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { digestOf, type Model } from "../../../services/shared/ml/models/model.js";
import { Scorer } from "../../../services/shared/ml/scoring/scorer.js";
import { expectAllClose } from "../../support/jest/all-close.js";
import { example, RoleProcess, RunBench } from "../../support/runs/run-bench.js";

const topK = { kind: "top_k", k: 4, temperature: 2 } as const;

// The test is the student (rollouts), the learner (prompts for the teacher to write) and whoever reads the scores.
describe("a teacher process", () => {
  let bench: RunBench;
  let teacher: RoleProcess;
  let model: Model;
  const durable = durables.teacher("bench", "default");

  beforeAll(async () => {
    bench = await RunBench.start("rollouts: { maxStaleness: 1, maxAttempts: 3 }\nphases: [{ preset: on_policy_kd, steps: 9 }]");
    model = await loadModel(example("models/teacher"));
    teacher = bench.role("teacher", "--teacher=default");
  });
  afterAll(() => bench.stop());

  let next = 0;
  const sequence = (prompt: string, completion: string, version = 0, teacherPrompt?: string): MessageInitShape<typeof SequenceSchema> => {
    const completionIds = model.tokenizer.encode(completion);
    return {
      promptIds: toRecord(model.tokenizer.encode(prompt, { addSpecial: true })),
      ...(teacherPrompt && { teacherPromptIds: toRecord(model.tokenizer.encode(teacherPrompt, { addSpecial: true })) }),
      completionIds: toRecord(completionIds),
      policyVersions: toRecord(new Uint32Array(completionIds.length).fill(version)),
    };
  };
  const rolloutOf = (
    sequences: readonly MessageInitShape<typeof SequenceSchema>[],
    { step = 1, signal = topK }: { step?: number; signal?: { kind: string; k: number; temperature: number } } = {},
  ): Rollout =>
    create(RolloutSchema, {
      key: { runId: "bench", purpose: Purpose.TRAIN, step, task: next++, attempt: 1 },
      source: Source.STUDENT,
      sequences: sequences.map((fields, prompt) => ({ prompt, ...fields })),
      teacher: "default",
      signal,
    });
  const scoreOf = async ({ key }: Rollout): Promise<TeacherScore> => fromBinary(TeacherScoreSchema, await bench.result(key!, "score"));

  it("scores behind its own prompt where the rollout brings one", async () => {
    const own = "12=twelve 12=";
    const brought = rolloutOf([sequence("12=", "twelve", 0, own), sequence("12=", "twelve", 0, "12=")]);
    const asPrompts = rolloutOf([sequence(own, "twelve"), sequence("12=", "twelve")]);
    await publishRollout(bench.streams, brought);
    await publishRollout(bench.streams, asPrompts);
    const score = await scoreOf(brought);
    expect(score.sequencesDigest).toBe(sequencesDigest(brought.sequences));
    expect(score.sequencesDigest).not.toBe(sequencesDigest(asPrompts.sequences));
    // Every bit: the same texts side by side.
    expect(score.scores).toEqual((await scoreOf(asPrompts)).scores);
    const [behindOwn, alone] = score.scores;
    expect(behindOwn!.logprobs!.data).not.toEqual(alone!.logprobs!.data);
  });

  it("says of a sequence whose own prompt leaves no room that it is too long, and scores the others", async () => {
    const long = "1".repeat(model.config.maxPositions);
    const rollout = rolloutOf([sequence("12=", "twelve", 0, long), sequence("7=", "seven")]);
    await publishRollout(bench.streams, rollout);
    const { scores } = await scoreOf(rollout);
    expect(scores[0]!.failure).toMatch(/exceed the model's \d+ positions/);
    expect(scores[1]!.failure).toBe("");
  });

  it("scores every sequence with the signal that the rollout asks for, and says whose it is", async () => {
    const rollout = rolloutOf([sequence("12=", "twelve"), sequence("7=", "eight")]);
    await publishRollout(bench.streams, rollout);
    const score = await scoreOf(rollout);
    expect(score).toMatchObject({
      teacher: "default",
      teacherDigest: digestOf(model.params),
      signal: topK,
      sequencesDigest: sequencesDigest(rollout.sequences),
    });
    const scorer = new Scorer(model.config, model.params, { device: "cpu", threads: 1, batchTokens: 1000 });
    const inputs = rollout.sequences.map(({ promptIds, completionIds }) => ({
      promptIds: toInt32(promptIds, "prompt"),
      completionIds: toInt32(completionIds, "completion"),
    }));
    const expected = await scorer.score(inputs, topK);
    await scorer.release();
    for (const [i, { logprobs, ids, topLogprobs, tailLogprobs }] of score.scores.entries()) {
      expect(Array.from(toInt32(ids, "ids"))).toEqual(Array.from(expected[i]!.ids!));
      expectAllClose(toFloat32(logprobs, "logprobs"), expected[i]!.logprobs!, { rtol: 1e-4 });
      expectAllClose(toFloat32(topLogprobs, "topLogprobs"), expected[i]!.topLogprobs!, { rtol: 1e-4 });
      expectAllClose(toFloat32(tailLogprobs, "tail"), expected[i]!.tail!, { rtol: 1e-4 });
    }
    await bench.idle(streamNames.rollouts, durable);
  });

  it("scores the rollouts of a message together: each has a result of its own, and one at fault fails alone", async () => {
    const stray = { ...sequence("5=", "five"), completionIds: toRecord(Int32Array.of(4, 9999)), policyVersions: undefined };
    const broken = { ...sequence("6=", "six"), completionIds: toRecord(Float32Array.of(1, 2)), policyVersions: undefined };
    const rollouts = [
      rolloutOf([sequence("12=", "twelve"), sequence("7=", "seven")]),
      rolloutOf([stray, sequence("4=", "four")]),
      rolloutOf([broken]),
      rolloutOf([{ failure: "the sampler gave up" }]),
      rolloutOf([sequence("20=", "twenty")]),
    ];
    const sender = new RolloutSender(bench.streams);
    for (const rollout of rollouts) await sender.add(rollout);
    await sender.end();
    const scores = await Promise.all(rollouts.map(scoreOf));
    expect(scores.map(({ scores }) => scores.map(({ failure }) => failure))).toEqual([
      ["", ""],
      [expect.stringContaining("9999"), ""],
      [expect.stringMatching(/completion/i)],
      ["the sampler gave up"],
      [""],
    ]);
    expect(scores.map(({ sequencesDigest }) => sequencesDigest)).toEqual(rollouts.map(({ sequences }) => sequencesDigest(sequences)));
    await bench.idle(streamNames.rollouts, durable);
  });

  it("gives the rollouts of a message the same bits when it comes again after a kill", async () => {
    const texts = [
      ["12=", "twelve"],
      ["7=", "one hundred seven"],
      ["4=", "four"],
      ["20=", "twenty one"],
    ] as const;
    const rolloutsAt = (attempt: number) =>
      texts.map(([prompt, completion], task) => {
        const rollout = rolloutOf([sequence(prompt, completion)]);
        return create(RolloutSchema, { ...rollout, key: { ...rollout.key!, task: 1000 + task, attempt } });
      });
    const send = async (rollouts: readonly Rollout[]) => {
      const sender = new RolloutSender(bench.streams);
      for (const rollout of rollouts) await sender.add(rollout);
      await sender.end();
    };
    const bits = async (rollouts: readonly Rollout[]) =>
      (await Promise.all(rollouts.map(scoreOf))).map(({ scores }) => Buffer.from(scores[0]!.topLogprobs!.data).toString("hex"));
    const [first, again] = [rolloutsAt(7), rolloutsAt(8)];
    await send(first);
    const expected = await bits(first);
    await teacher.kill();
    await send(again);
    await bench.dieOverNext(streamNames.rollouts, durable);
    // The one that was lost had stored the score of the second rollout.
    await publishScore(bench.streams, { ...(await scoreOf(first[1]!)), key: again[1]!.key! });
    teacher = bench.role("teacher", "--teacher=default");
    expect(await bits(again)).toEqual(expected);
    await bench.idle(streamNames.rollouts, durable);
  });

  it("does nothing twice when a rollout comes again: the first score stays", async () => {
    const rollout = rolloutOf([sequence("3=", "three")]);
    await publishRollout(bench.streams, rollout);
    const first = await bench.result(rollout.key!, "score");
    await publishRollout(bench.streams, create(RolloutSchema, { ...rollout, key: { ...rollout.key!, attempt: 2 } }));
    await bench.idle(streamNames.rollouts, durable);
    expect(Buffer.compare((await bench.stored(rollout.key!, "score"))!, first)).toBe(0);
  });

  it("records the sequence that it cannot score, or that failed before, and scores the others", async () => {
    const stray = { ...sequence("5=", "five"), completionIds: toRecord(Int32Array.of(4, 9999)), policyVersions: undefined };
    const rollout = rolloutOf([sequence("4=", "four"), stray, { failure: "the sampler gave up" }, sequence("6=", "six")]);
    await publishRollout(bench.streams, rollout);
    const failures = (await scoreOf(rollout)).scores.map(({ failure }) => failure);
    expect(failures).toEqual(["", expect.stringContaining("9999"), "the sampler gave up", ""]);
  });

  it("records a signal that it cannot give", async () => {
    const rollout = rolloutOf([sequence("4=", "four")], { signal: { kind: "top_k", k: 5000, temperature: 1 } });
    await publishRollout(bench.streams, rollout);
    expect((await scoreOf(rollout)).scores).toMatchObject([{ failure: expect.stringContaining("5000") }]);
  });

  it("counts the time in the queue as staleness: what is too old for its step is not scored, and said so", async () => {
    const fresh = sequence("8=", "eight", 3);
    const rollout = rolloutOf([fresh, sequence("9=", "nine", 2)], { step: 5 });
    await publishRollout(bench.streams, rollout);
    const failures = (await scoreOf(rollout)).scores.map(({ failure }) => failure);
    expect(failures).toEqual(["", "sampled 2 versions before its step; maxStaleness is 1"]);
  });

  it("drops bytes that are no rollout, and goes on", async () => {
    await bench.rubbish(subjects.rollout(rolloutOf([]).key!, "default"));
    const rollout = rolloutOf([sequence("1=", "one")]);
    await publishRollout(bench.streams, rollout);
    expect((await scoreOf(rollout)).scores[0]!.failure).toBe("");
    await bench.idle(streamNames.rollouts, durable);
    expect(teacher.running).toBe(true);
  });

  it("writes texts, when it is the one to write", async () => {
    const key = { runId: "bench", purpose: Purpose.DATASET, step: 0, task: 0, attempt: 1 } as const;
    const prompts = [{ ids: toRecord(model.tokenizer.encode("12=", { addSpecial: true })), text: "12=" }];
    const sampling = { temperature: 0, maxNewTokens: 20 };
    const task = create(PromptTaskSchema, { key, prompts, samplesPerPrompt: 1, sampling, sampler: "default" });
    await publishTask(bench.streams, task);
    const { source, sequences } = readRollout(await bench.result(task.key!, "rollout"));
    expect(source).toBe(Source.TEACHER);
    expect(sequences).toMatchObject([{ completionText: "twelve", failure: "" }]);
  });

  it("takes over the rollout of a worker that was lost, before and after that one had stored its score", async () => {
    await teacher.stop();
    const [unscored, scored] = [rolloutOf([sequence("20=", "twenty")]), rolloutOf([sequence("30=", "thirty")])];
    for (const rollout of [unscored, scored]) {
      await publishRollout(bench.streams, rollout);
      expect(readRollout(await bench.dieOverNext(streamNames.rollouts, durable)).key).toEqual(rollout.key);
    }
    await publishScore(bench.streams, create(TeacherScoreSchema, { key: scored.key, worker: "lost", scores: [{}] }));
    teacher = bench.role("teacher", "--teacher=default");
    expect((await scoreOf(unscored)).scores[0]!.failure).toBe("");
    await bench.idle(streamNames.rollouts, durable);
    expect((await scoreOf(scored)).worker).toBe("lost");
  });

  it("finishes what it has in hand when it is stopped", async () => {
    const rollout = rolloutOf(Array.from({ length: 300 }, (_, i) => sequence(`${i}=`, "one hundred twenty three")));
    await publishRollout(bench.streams, rollout);
    await bench.inHand(streamNames.rollouts, durable);
    expect(await teacher.stop()).toBe(0);
    await bench.idle(streamNames.rollouts, durable);
    expect(fromBinary(TeacherScoreSchema, (await bench.stored(rollout.key!, "score"))!).scores).toHaveLength(300);
    expect(await bench.runs.registrations("bench")).toEqual([]);
  });

  it("serves OpenAI's API besides, also where it is of a pool", async () => {
    await (await TeacherPools.open(bench.streams)).join("shared", { runId: "bench", teacher: "default" });
    const argv = ["--pool=shared", "--openai-port=0", `--nats=${bench.nats.url}`, `--data-dir=${bench.directory}`, "--log-format=json"];
    const pooled = new RoleProcess(["--role=teacher", ...argv]);
    try {
      await pooled.logged(/is serving/);
      const [, port] = /"openaiPort":([1-9]\d*)/.exec(pooled.log) ?? [];
      const answer = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "shared", prompt: "12=", temperature: 0, max_tokens: 16 }),
      });
      expect(await answer.json()).toMatchObject({ model: "shared", choices: [{ text: "twelve" }] });
    } finally {
      expect(await pooled.stop()).toBe(0);
    }
  });
});
