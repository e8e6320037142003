import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Metrics } from "../../../services/shared/base/metrics.js";
import { ServerSpecSchema } from "../../../services/shared/gen/retort/v1/server_pb.js";
import { loadModel } from "../../../services/shared/ml/models/files/model-files.js";
import { Scorer } from "../../../services/shared/ml/scoring/scorer.js";
import type { Score, Signal } from "../../../services/shared/ml/signals/score.js";
import type { ScoreInput } from "../../../services/shared/ml/signals/signal.js";
import { openaiBackend } from "../../../services/teacher/backends/openai/backend.js";
import { expectAllClose } from "../../support/jest/all-close.js";
import { example } from "../../support/runs/run-bench.js";
import { LogprobServer } from "../../support/servers/logprob-server.js";

const model = example("models/teacher");
const sampled: Signal = { kind: "sampled", k: 0, temperature: 1 };
const topK: Signal = { kind: "top_k", k: 4, temperature: 1 };

describe("a teacher whose model a server runs", () => {
  let server: LogprobServer;
  let inputs: ScoreInput[];
  let own: (signal: Signal) => Promise<Score[]>;
  let metrics: Metrics;
  const opened: ReturnType<typeof openaiBackend>[] = [];
  const plain = {
    dialect: "vllm",
    token: "",
    maxLogprobs: 20,
    faults: [],
    tokens: undefined,
    shift: 0,
    bend: (row: Float32Array) => row,
  } as const;

  beforeAll(async () => {
    server = await LogprobServer.start(model);
    const { config, params, tokenizer } = await loadModel(model);
    const scorer = new Scorer(config, params, { device: "cpu", threads: 1, batchTokens: 1000 });
    own = (signal) => scorer.score(inputs, signal);
    inputs = ["12=twelve", "7=seven", "30=thirty", "4=four", "9=nine"].map((text) => {
      const ids = tokenizer.encode(text, { addSpecial: true });
      return { promptIds: ids.slice(0, 3), completionIds: ids.slice(3) };
    });
  });
  beforeEach(() => {
    Object.assign(server.ways, { ...plain, faults: [] });
    server.asked.length = 0;
    server.busiest = 0;
  });
  afterAll(async () => {
    for (const backend of opened) await backend.close();
    await server.stop();
  });

  const backendOf = (env: NodeJS.ProcessEnv = {}) => {
    metrics = new Metrics("teacher");
    const backend = openaiBackend({ device: "cpu", threads: 1, batchTokens: 1, metrics, tokens: { env, hosts: "", plaintext: false } });
    opened.push(backend);
    return backend;
  };
  const specOf = (more: MessageInitShape<typeof ServerSpecSchema> = {}) => create(ServerSpecSchema, { url: server.url, ...more });
  const open = (more: MessageInitShape<typeof ServerSpecSchema> = {}) => backendOf().open({ model, server: specOf(more), vocabRows: 0 });
  const describing = (more: MessageInitShape<typeof ServerSpecSchema> = {}, env: NodeJS.ProcessEnv = {}) =>
    backendOf(env)
      .describe({ model, server: specOf(more) })
      .facts(false);
  const counted = async (name: string) => (await metrics.registry.getSingleMetric(`retort_teacher_${name}`)?.get())?.values[0]?.value;

  const close = (scores: readonly Score[], expected: readonly Score[]) => {
    for (const [i, { logprobs, ids, topLogprobs, tail }] of scores.entries()) {
      const other = expected[i]!;
      expectAllClose(logprobs!, other.logprobs!, { rtol: 1e-5, atol: 1e-6 });
      expect(ids).toEqual(other.ids);
      if (!topLogprobs) continue;
      expectAllClose(topLogprobs, other.topLogprobs!, { rtol: 1e-5, atol: 1e-6 });
      // A tail is no better known than 1e-6 of mass.
      expectAllClose(tail!.map(Math.exp), other.tail!.map(Math.exp), { rtol: 0, atol: 3e-6 });
    }
  };

  it.each(["vllm", "sglang", "echo"] as const)("scores as the same model does here, asked as %s is", async (dialect) => {
    server.ways.dialect = dialect;
    const teacher = await open();
    expect((await teacher.facts(false)).offer).toMatchObject({ signals: ["sampled", "top_k"], largestK: 20, dialect });
    close(await teacher.score(inputs, topK), await own(topK));
    close(await teacher.score(inputs, sampled), await own(sampled));
  });

  it("offers no classes where they have no ids, but what each token has", async () => {
    server.ways.dialect = "echo as text";
    const teacher = await open();
    expect((await teacher.facts(false)).offer).toMatchObject({ signals: ["sampled"], largestK: 0 });
    close(await teacher.score(inputs, sampled), await own(sampled));
    await expect(teacher.score(inputs, topK)).rejects.toMatchObject({ code: "Unimplemented", fieldPath: "signal.k" });
  });

  it("sends ids, several texts to a request, and no more requests at a time than it may", async () => {
    const teacher = await open({ batchSize: 1, concurrency: 2 });
    server.asked.length = 0;
    await teacher.score(inputs, topK);
    expect(server.asked.map(({ prompt }) => prompt)).toEqual(
      inputs.map(({ promptIds, completionIds }) => [[...promptIds, ...completionIds]]),
    );
    expect(server.asked[0]).toMatchObject({ model: "served", prompt_logprobs: 4, temperature: 1, top_p: 1 });
    expect(server.busiest).toBe(2);
    server.asked.length = 0;
    await (await open({ batchSize: 3 })).score(inputs, topK);
    expect(server.asked.slice(-2).map(({ prompt }) => (prompt as unknown[]).length)).toEqual([3, 2]);
  });

  it("asks again after failures that pass, waits as long as it is told to, and counts what it costs", async () => {
    const teacher = await open({ pricePerMillionTokens: 1000 });
    const before = (await counted("server_retries_total")) ?? 0;
    server.ways.faults = [{ status: 429, retryAfter: "1" }, "drop", { status: 503 }];
    const started = performance.now();
    close(await teacher.score(inputs, topK), await own(topK));
    expect(performance.now() - started).toBeGreaterThan(1000);
    expect(((await counted("server_retries_total")) as number) - before).toBe(3);
    const tokens = inputs.reduce((sum, { promptIds, completionIds }) => sum + promptIds.length + completionIds.length, 0);
    expect(await counted("server_tokens_total")).toBe(tokens);
    expect(await counted("server_cost_total")).toBeCloseTo(tokens / 1000, 9);
  });

  it("gives back what the server does not answer in time, and passes on what it refuses", async () => {
    const teacher = await open({ timeoutMs: 300, maxAttempts: 2 });
    server.ways.faults = ["hang", "hang"];
    await expect(teacher.score(inputs, topK)).rejects.toMatchObject({ code: "DeadlineExceeded", retry: "later" });
    server.ways.faults = [{ status: 404 }];
    await expect(teacher.score(inputs, topK)).rejects.toMatchObject({ code: "Unavailable", retry: "later" });
    server.ways.faults = [{ status: 400 }];
    await expect(teacher.score(inputs, topK)).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining("not now"),
    });
    const long = { promptIds: new Int32Array(32).fill(5), completionIds: new Int32Array(32).fill(5) };
    await expect(teacher.score([long], topK)).rejects.toMatchObject({ code: "InvalidArgument", message: expect.stringContaining("63") });
  });

  it("shows its token to the server alone, and names the variable where there is none", async () => {
    server.ways.token = "sekret";
    const tokenEnv = "RETORT_TEACHER_TOKEN_A";
    expect((await describing({ tokenEnv }, { [tokenEnv]: "sekret" })).offer?.largestK).toBe(20);
    await expect(describing({ tokenEnv })).rejects.toMatchObject({ code: "FailedPrecondition", fieldPath: "server.tokenEnv" });
    const wrong = describing({ tokenEnv }, { [tokenEnv]: "another" });
    await expect(wrong).rejects.toMatchObject({ code: "PermissionDenied", message: expect.not.stringContaining("another") });
    await expect(describing()).rejects.toMatchObject({ message: expect.stringContaining("server.tokenEnv") });
  });

  it.each([
    ["logits", "vllm", (row: Float32Array) => row.map((x) => x + 30)],
    ["probabilities above 1 in sum", "sglang", (row: Float32Array) => row.map((x) => x / 4)],
  ] as const)("believes no server that sends %s", async (_, dialect, bend) => {
    Object.assign(server.ways, { dialect, bend });
    await expect(describing()).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("believes no server that answers about other tokens, splits text otherwise or lacks the tokenizer's last row", async () => {
    server.ways.shift = 1;
    await expect(describing()).rejects.toMatchObject({ message: expect.stringContaining("no log-probability of token") });
    Object.assign(server.ways, { shift: 1, dialect: "echo" });
    await expect(describing()).rejects.toMatchObject({ message: expect.stringContaining("was sent") });
    Object.assign(server.ways, { shift: 0, tokens: () => [1, 2, 3] });
    await expect(describing()).rejects.toMatchObject({ fieldPath: "server.url" });
  });

  it("says what a server lacks that gives no log-probabilities of prompts, and which models there are", async () => {
    server.ways.dialect = "none";
    await expect(describing()).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/vllm: .*sglang: .*404.*echo: .*vLLM and SGLang give them/s),
    });
    server.ways.dialect = "vllm";
    await expect(describing({ model: "other" })).rejects.toMatchObject({
      fieldPath: "server.model",
      message: expect.stringContaining("served"),
    });
    await expect(describing({ maxLogprobs: 21 })).rejects.toMatchObject({ fieldPath: "server.maxLogprobs" });
    expect((await describing({ maxLogprobs: 5 })).offer?.largestK).toBe(5);
  });

  it("is refused what a server cannot give", async () => {
    const teacher = await open();
    await expect(teacher.score(inputs, { kind: "full", k: 0, temperature: 1 })).rejects.toMatchObject({ fieldPath: "signal.kind" });
    await expect(teacher.score(inputs, { ...topK, k: 21 })).rejects.toMatchObject({ fieldPath: "signal.k" });
    await expect(teacher.score(inputs, { ...topK, temperature: 2 })).rejects.toMatchObject({ fieldPath: "signal.temperature" });
  });
});
