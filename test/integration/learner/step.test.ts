import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { end, spawnRole } from "../../../services/cli/local.js";
import { whenServing } from "../../../services/shared/base/ready.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { toFloat32, toInt32, toRecord } from "../../../services/shared/flow/arrays.js";
import { LearnerService } from "../../../services/shared/gen/retort/v1/learner_pb.js";
import { type ScoreResponse, TeacherService } from "../../../services/shared/gen/retort/v1/teacher_pb.js";
import { expectAllClose } from "../../support/jest/all-close.js";

const [vocab, k] = [41, 6];
const models = resolve("deploy/examples/num2words/models");
/** Prompts and completions in token ids. */
const texts = [
  [Int32Array.of(1, 12, 13, 14), Int32Array.of(20, 21, 22, 23, 2)],
  [Int32Array.of(1, 9), Int32Array.of(30, 2)],
] as const;
/** k classes at each token, in the order of the vocabulary or all of it. */
const chosen = (tokens: number, count: number) =>
  toRecord(
    Int32Array.from({ length: tokens * count }, (_, i) => (Math.floor(i / count) + (i % count)) % vocab),
    [tokens, count],
  );

// A teacher and a learner that stand alone: what anyone can build a trainer of their own from.
describe("a teacher's Score and a learner's Step", () => {
  let directory: string;
  let children: ChildProcess[];
  let teacher: Client<typeof TeacherService>;
  let learner: Client<typeof LearnerService>;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-step-"));
    const roles = ["teacher", "learner"] as const;
    const log = (role: string) => join(directory, `${role}.log`);
    children = roles.map((role) => {
      const model = join(models, role === "teacher" ? "teacher" : "student");
      return spawnRole(role, ["--model", model, "--threads", "1", "--log-format", "json", "--data-dir", directory], log(role));
    });
    const ports = await Promise.all(children.map(async (child, i) => (await whenServing(child, { log: log(roles[i]!) })).grpcPort));
    const options = { timeoutMs: 60_000, maxMessageBytes: 64 * 1024 * 1024 };
    teacher = createClient(TeacherService, `127.0.0.1:${ports[0]}`, options);
    learner = createClient(LearnerService, `127.0.0.1:${ports[1]}`, options);
  });
  afterAll(async () => {
    teacher.close();
    learner.close();
    await Promise.all(children.map((child) => end(child, 5000)));
    await rm(directory, { recursive: true });
  });

  interface Signal {
    readonly kind: string;
    readonly k?: number;
    readonly temperature?: number;
    readonly hiddenDtype?: string;
  }
  const full = { temperature: 1, k: 0, hiddenDtype: "" };

  async function score(signal: Signal): Promise<ScoreResponse> {
    const sequences = texts.map(([prompt, completion]) => ({
      prompt: { input: { case: "ids" as const, value: toRecord(prompt) } },
      completion: { case: "ids" as const, value: toRecord(completion) },
      ...(signal.kind === "student_top_k" ? { studentTopIds: chosen(completion.length, signal.k!) } : {}),
    }));
    return teacher.score({ sequences, signal: { ...full, ...signal } });
  }

  /** Scores the texts and takes a step of rate 0 on them. */
  async function step(signal: Signal, objective: Record<string, unknown>, more: { readonly teacherModel?: string } = {}) {
    const { scores, headDigest } = await score(signal);
    const sequences = texts.map(([prompt, completion], i) => ({
      sequence: {
        promptIds: toRecord(prompt),
        completionIds: toRecord(completion),
        ...(signal.kind === "student_top_k" ? { studentTopIds: chosen(completion.length, signal.k!) } : {}),
      },
      score: scores[i]!,
    }));
    const { result } = await learner.step({
      sequences,
      signal: { ...full, ...signal },
      objective: { signal: signal.kind, topK: signal.k ?? 0, ...objective },
      optimizer: { learningRate: 1e-12 },
      ...(signal.kind === "hidden" ? { teacherModel: join(models, "teacher"), headDigest } : {}),
      ...more,
    });
    return result!;
  }

  it("describes what hidden states and their head are", async () => {
    const { hiddenSize, headDigest, vocabSize } = await teacher.describe({});
    expect({ hiddenSize, vocabSize }).toEqual({ hiddenSize: 64, vocabSize: vocab });
    expect(headDigest).toMatch(/^[0-9a-f]{64}$/);
    expect((await score({ kind: "hidden" })).headDigest).toBe(headDigest);
  });

  it.each<[string, Signal, number, number]>([
    ["the teacher's classes, all of them", { kind: "top_k", k: vocab }, 8 * vocab + 8, 1e-4],
    ["the student's classes, all of them", { kind: "student_top_k", k: vocab }, 8 * vocab + 8, 1e-4],
    ["hidden states in float32", { kind: "hidden", hiddenDtype: "float32" }, 4 * 64, 1e-4],
    ["hidden states in float16", { kind: "hidden", hiddenDtype: "float16" }, 2 * 64, 1e-2],
  ])("give from %s the step of the whole distribution", async (_, signal, bytes, rtol) => {
    const objective = { divergence: "jsd", teacherTemperature: 1.5, hiddenDtype: signal.hiddenDtype ?? "" };
    const whole = await step({ kind: "full", temperature: 1.5 }, objective);
    const same = await step({ ...signal, temperature: 1.5 }, objective);
    const figures = ({ loss, gradientNorm }: typeof whole) => [loss, gradientNorm];
    expectAllClose(figures(same), figures(whole), { rtol, atol: 1e-6 });
    expect(same.signalBytesPerToken).toBe(bytes);
    expect(whole.signalBytesPerToken).toBe(4 * vocab + 4);
  });

  it("give a coarser divergence from k classes of the student's choice, and an estimate from draws", async () => {
    const whole = await step({ kind: "full" }, { divergence: "forward_kl" });
    const coarse = await step({ kind: "student_top_k", k }, { divergence: "forward_kl" });
    expect(coarse.loss).toBeGreaterThan(0);
    expect(coarse.loss).toBeLessThanOrEqual(whole.loss * (1 + 1e-5));
    const drawn = await step({ kind: "random_k", k: 20_000 }, { divergence: "forward_kl" });
    expect(Math.abs(drawn.loss - whole.loss)).toBeLessThan(0.05);
  });

  it("give the policy gradient from the tokens' log-probabilities alone", async () => {
    const whole = await step({ kind: "full" }, { divergence: "opd" });
    const sampled = await step({ kind: "sampled" }, { divergence: "opd" });
    expectAllClose([sampled.loss, sampled.gradientNorm], [whole.loss, whole.gradientNorm], { rtol: 1e-4 });
    expect(sampled.signalBytesPerToken).toBe(4);
  });

  it("count only a prefix, if asked", async () => {
    expect((await step({ kind: "full" }, { prefixTokens: 1 })).completionTokens).toBe(2);
  });

  it("count only the tokens that are chosen, if asked, and report all", async () => {
    const [all, some] = [await step({ kind: "full" }, {}), await step({ kind: "full" }, { tokens: { by: "divergence", share: 0.5 } })];
    expect(some.loss).toBeGreaterThan(all.loss);
    expectAllClose([some.divergence, some.entropy], [all.divergence, all.entropy], { rtol: 1e-5 });
    await expect(step({ kind: "full" }, { tokens: { by: "luck" } })).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(/tokens\.by/),
    });
    await expect(step({ kind: "full" }, { tokens: {} })).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(/tokens\.by/),
    });
  });

  const plain = (objective: Record<string, unknown>, optimizer: Record<string, unknown>, totalSteps = 0) =>
    learner.step({
      sequences: [0, 1].map((i) => ({
        sequence: { promptIds: toRecord(texts[i]![0]), completionIds: toRecord(texts[i]![1]), prompt: 0 },
        reward: { value: i, failure: "" },
      })),
      objective: { divergence: "cross_entropy", ...objective },
      optimizer,
      totalSteps,
    });

  it("follow the schedule by the learner's own steps", async () => {
    const status = await learner.getStatus({});
    const rate = async (optimizer: Record<string, unknown>, total = 0) =>
      (await plain({}, { learningRate: 1e-9, ...optimizer }, total)).result!.learningRate;
    const done = status.step;
    expect(await rate({})).toBe(1e-9);
    expect(await rate({ warmupSteps: 100 })).toBeCloseTo((1e-9 * (done + 1)) / 100, 15);
    expect(await rate({ schedule: "linear" }, 1000)).toBeCloseTo(1e-9 * (1 - (done + 2) / 1000), 15);
    await expect(rate({ schedule: "cosine" })).rejects.toThrow(/optimizer\.schedule is cosine, and totalSteps is missing/);
  });

  it("train on rewards less their baseline", async () => {
    const loss = async (baseline: string) => (await plain({ alpha: 0, baseline }, { learningRate: 1e-12 })).result!;
    const [none, group] = [await loss("none"), await loss("group")];
    expect(none.reward).toBe(0.5);
    expect(group.gradientNorm).not.toBeCloseTo(none.gradientNorm, 3);
    expect((await loss("")).gradientNorm).toBeCloseTo(group.gradientNorm, 5);
  });

  it("are told, and tell, tokens as plain lists", async () => {
    const [[prompt, completion]] = texts;
    const listed = (ids: Int32Array) => ({ case: "tokenIds" as const, value: { ids: [...ids] } });
    const sequences = [{ prompt: { input: listed(prompt) }, completion: listed(completion) }];
    const { tokens } = await teacher.score({ sequences, signal: { ...full, kind: "sampled" } });
    const { scores, tokens: packed } = await score({ kind: "sampled" });
    expect(tokens[0]).toEqual(packed[0]);
    expect(tokens[0]!.ids).toEqual([...completion]);
    expect(tokens[0]!.logprobs).toEqual([...toFloat32(scores[0]!.logprobs, "logprobs")]);
    expect((await score({ kind: "hidden" })).tokens.map(({ ids, logprobs }) => [ids.length, logprobs.length])).toEqual([
      [5, 0],
      [2, 0],
    ]);

    const request = { prompts: [{ input: listed(prompt) }], sampling: { maxNewTokens: 7 }, seed: 4n };
    const written: { ids: number[]; logprobs: number[] } = { ids: [], logprobs: [] };
    for await (const { piece } of teacher.sample({ request })) {
      written.ids.push(...piece!.tokenIds);
      written.logprobs.push(...piece!.tokenLogprobs);
      if (piece!.ids) expect(piece!.tokenIds).toEqual([...toInt32(piece!.ids, "ids")]);
      if (piece!.logprobs) expect(piece!.tokenLogprobs).toEqual([...toFloat32(piece!.logprobs, "logprobs")]);
    }
    expect(written.ids.length).toBeGreaterThan(0);
    // The sampler's log-probabilities are the scorer's.
    const again = [{ prompt: { input: listed(prompt) }, completion: listed(Int32Array.from(written.ids)) }];
    const rescored = (await teacher.score({ sequences: again, signal: { ...full, kind: "sampled" } })).tokens[0]!;
    expectAllClose(Float32Array.from(written.logprobs), Float32Array.from(rescored.logprobs), { rtol: 1e-4, atol: 1e-5 });
  });

  it.each<[string, (row: Float32Array) => void]>([
    ["too much", (row) => row.fill(-1)],
    ["too little", (row) => row.fill(-20)],
  ])("refuse a distribution that sums to %s, naming sequence, token and sum", async (_, spoil) => {
    const signal = { ...full, kind: "full" };
    const { scores } = await score(signal);
    const all = toFloat32(scores[1]!.full, "full");
    spoil(all.subarray(vocab, 2 * vocab));
    const sequences = texts.map(([prompt, completion], i) => ({
      sequence: { promptIds: toRecord(prompt), completionIds: toRecord(completion) },
      score: i === 1 ? { ...scores[i]!, full: toRecord(all, [2, vocab]) } : scores[i]!,
    }));
    await expect(learner.step({ sequences, signal })).rejects.toThrow(
      /sequence 1: the probabilities of score\.full at token 1 sum to .*, not to 1/,
    );
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ["a k that the signal has not", () => score({ kind: "full", k: 3 }), /signal\.k is 3; full has none/],
    ["a temperature that float32 has not", () => score({ kind: "full", temperature: 1e-40 }), /signal\.temperature is 1e-40/],
    [
      "a sampling temperature that float32 has not",
      async () => {
        for await (const _ of teacher.sample({
          request: { prompts: [{ input: { case: "ids", value: toRecord(texts[0][0]) } }], sampling: { temperature: 1e-40 } },
        }));
      },
      /temperature.*at least 0\.001/,
    ],
    [
      "a divergence that the signal cannot give",
      () => step({ kind: "sampled" }, { divergence: "jsd" }),
      /objective\.signal.*is sampled, which cannot give jsd/,
    ],
    [
      "more classes than there are",
      () => step({ kind: "top_k", k: 42 }, {}),
      /signal\.k is 42; top_k needs a whole number from 1 to the vocabulary's 41/,
    ],
    [
      "classes that nobody chose",
      () =>
        teacher.score({
          sequences: [
            { prompt: { input: { case: "ids", value: toRecord(texts[1][0]) } }, completion: { case: "ids", value: toRecord(texts[1][1]) } },
          ],
          signal: { ...full, kind: "student_top_k", k: 2 },
        }),
      /studentTopIds has 0 elements/,
    ],
    ["a score of another k", () => step({ kind: "top_k", k: 4 }, { topK: 5 }), /the score's k is 4, the objective needs 5/],
    [
      "a score at another temperature",
      () => step({ kind: "full", temperature: 2 }, {}),
      /the score's temperature is 2, the objective needs 1/,
    ],
    [
      "states without a head",
      () => step({ kind: "hidden" }, {}, { teacherModel: "" }),
      /teacherModel is empty; the signal hidden needs the teacher's model directory/,
    ],
    [
      "states of another head",
      () => step({ kind: "hidden" }, {}, { teacherModel: join(models, "student") }),
      /headDigest is [0-9a-f]{64}; the head in .*student has/,
    ],
    [
      "a head that is not there",
      () => step({ kind: "hidden" }, {}, { teacherModel: "/nowhere" }),
      /\/nowhere\/config\.json cannot be read/,
    ],
  ])("refuse %s", async (_, call, message) => {
    await expect(call()).rejects.toThrow(message);
  });
});
