import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import OpenAI from "openai";
import { Metrics } from "../../services/shared/base/metrics.js";
import { type Client, createClient } from "../../services/shared/base/rpc/client.js";
import { ServerSpecSchema } from "../../services/shared/gen/retort/v1/server_pb.js";
import { StudentService } from "../../services/shared/gen/retort/v1/student_pb.js";
import { loadModel, saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { openaiBackend } from "../../services/teacher/backends/openai/backend.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { fixtureTokenizer } from "../support/models/encoder-fixtures.js";
import { example, RoleProcess, RunBench } from "../support/runs/run-bench.js";

const template = [
  "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}",
  "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
].join("");
const tokenizer = fixtureTokenizer("bytes-start", template);
const made = initModel(
  {
    ...{ model_type: "llama", hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, hidden_act: "silu" },
    ...{ num_key_value_heads: 2, max_position_embeddings: 96, rms_norm_eps: 1e-5, initializer_range: 0.4, tie_word_embeddings: true },
    ...{ vocab_size: tokenizer.size, eos_token_id: tokenizer.tokenToId("<|eot_id|>") },
  },
  tokenizer,
  7n,
);

/** A role's process over the model, with OpenAI's API. */
async function serve(role: string, directory: string) {
  const argv = [`--model=${directory}`, "--openai-port=0", "--token=sekret", "--threads=1", "--log-format=json"];
  const process = new RoleProcess([`--role=${role}`, ...argv]);
  await process.logged(/is serving/);
  const [, grpcPort, openaiPort] = /"grpcPort":(\d+).*"openaiPort":(\d+).*is serving/.exec(process.log) ?? [];
  return { process, url: `http://127.0.0.1:${openaiPort}/v1`, grpc: `127.0.0.1:${grpcPort}` };
}

describe("OpenAI's API", () => {
  let directory: string;
  let model: string;
  let student: Awaited<ReturnType<typeof serve>>;
  let openai: OpenAI;
  let grpc: Client<typeof StudentService>;
  let scorer: Scorer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-openai-"));
    await saveModel(directory, made);
    model = basename(directory);
    student = await serve("student", directory);
    openai = new OpenAI({ baseURL: student.url, apiKey: "sekret", maxRetries: 0 });
    grpc = createClient(StudentService, student.grpc, { timeoutMs: 60_000, maxMessageBytes: 1e7, token: "sekret" });
    scorer = new Scorer(made.config, made.params, { device: "cpu", threads: 1, batchTokens: 4096 });
  });
  afterAll(async () => {
    grpc.close();
    await student.process.kill();
    await scorer.release();
    await rm(directory, { recursive: true });
  });

  const prompt = "hello there";
  const idsOf = (text: string) => tokenizer.encode(text, { addSpecial: true });
  /** What gRPC's Sample writes. */
  const sampled = async (ids: Int32Array, seed: bigint, maxNewTokens: number, temperature: number) => {
    let text = "";
    const input = { case: "ids" as const, value: { type: 3, shape: [ids.length], data: new Uint8Array(ids.buffer.slice(0)) } };
    for await (const piece of grpc.sample({ prompts: [{ input }], seed, sampling: { maxNewTokens, temperature } })) text += piece.text;
    return text;
  };
  const scoreOf = async (promptIds: Int32Array, completionIds: Int32Array) =>
    (await scorer.score([{ promptIds, completionIds }], { kind: "top_k", k: 3, temperature: 1 }))[0]!;

  it("lists its model, and wants its token", async () => {
    const { data } = await openai.models.list();
    expect(data).toMatchObject([{ id: model, owned_by: "retort", max_model_len: 96 }]);
    const stranger = new OpenAI({ baseURL: student.url, apiKey: "guess", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: "Unauthenticated" });
  });

  it("writes what gRPC's Sample writes, from text and from ids, as a whole and as a stream", async () => {
    const expected = await sampled(idsOf(prompt), 3n, 20, 0.8);
    const request = { model, prompt, max_tokens: 20, temperature: 0.8, seed: 3 };
    const { choices, usage, system_fingerprint: print } = await openai.completions.create(request);
    expect(choices).toMatchObject([{ index: 0, text: expected, logprobs: null }]);
    expect(usage).toMatchObject({ prompt_tokens: idsOf(prompt).length });
    expect(print).toMatch(/^\w{64}$/);
    expect((await openai.completions.create({ ...request, prompt: [...idsOf(prompt)] })).choices[0]?.text).toBe(expected);
    const chunks = [];
    for await (const chunk of await openai.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }))
      chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join("")).toBe(expected);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
  });

  it("writes several completions of several prompts, each up to a stop", async () => {
    const prompts = [prompt, "another"];
    const request = { model, prompt: prompts, n: 2, max_tokens: 24, seed: 5 };
    const { choices } = await openai.completions.create(request);
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const stop = choices[2]!.text.slice(4, 6);
    const cut = await openai.completions.create({ ...request, stop: [stop, "never"] });
    for (const [i, { text, finish_reason: finish }] of cut.choices.entries()) {
      const [whole] = choices[i]!.text.split(stop);
      expect([text, finish]).toEqual([whole, whole === choices[i]!.text ? choices[i]!.finish_reason : "stop"]);
    }
    const streamed = ["", "", "", ""];
    for await (const chunk of await openai.completions.create({ ...request, stop, stream: true }))
      for (const { index, text } of chunk.choices) streamed[index] += text;
    expect(streamed).toEqual(cut.choices.map(({ text }) => text));
  });

  it("says of every token what the model's scorer says of it, of the prompt too", async () => {
    const request = { model, prompt, max_tokens: 8, temperature: 0, logprobs: 3 };
    const named = { ...request, return_tokens_as_token_ids: true };
    const [whole] = (await openai.completions.create(request)).choices;
    expect(whole?.logprobs?.tokens?.join("")).toBe(whole?.text);
    const [choice] = (await openai.completions.create(named)).choices;
    const ids = Int32Array.from(choice!.logprobs!.tokens!, (token) => Number(token.slice("token_id:".length)));
    const own = await scoreOf(idsOf(prompt), ids);
    expectAllClose(Float32Array.from(choice!.logprobs!.token_logprobs!), own.logprobs!, { rtol: 1e-5, atol: 1e-6 });
    for (const [n, classes] of choice!.logprobs!.top_logprobs!.entries())
      expect(Object.keys(classes)).toEqual(expect.arrayContaining([...own.ids!.slice(3 * n, 3 * n + 3)].map((id) => `token_id:${id}`)));
    const [echoed] = (await openai.completions.create({ ...request, max_tokens: 0, echo: true })).choices;
    const all = idsOf(prompt);
    const { logprobs } = await scoreOf(all.slice(0, 1), all.slice(1));
    expect(echoed).toMatchObject({ text: prompt, finish_reason: "length" });
    expect(echoed!.logprobs!.token_logprobs![0]).toBeNull();
    expectAllClose(Float32Array.from(echoed!.logprobs!.token_logprobs!.slice(1)), logprobs!, { rtol: 1e-5, atol: 1e-6 });
  });

  it("answers conversations through the model's template", async () => {
    const messages = [
      { role: "system" as const, content: "be short" },
      { role: "user" as const, content: [{ type: "text" as const, text: "hello" }] },
    ];
    const turns =
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe short<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
    const ids = tokenizer.encode(turns);
    const request = { model, messages, max_tokens: 12, seed: 9, logprobs: true, top_logprobs: 2 };
    const { choices, usage } = await openai.chat.completions.create(request);
    const expected = await sampled(ids, 9n, 12, 1);
    expect(choices).toMatchObject([{ index: 0, message: { role: "assistant", content: expected } }]);
    expect(usage?.prompt_tokens).toBe(ids.length);
    const tokens = choices[0]!.logprobs!.content!;
    expect(tokens.map(({ token }) => token).join("")).toBe(expected);
    for (const { logprob, top_logprobs: top } of tokens) {
      expect(top).toHaveLength(2);
      expect(top[0]!.logprob).toBeGreaterThanOrEqual(Math.max(logprob, top[1]!.logprob));
    }
    const { logprobs: _, top_logprobs: __, ...plain } = request;
    let text = "";
    const roles = [];
    for await (const chunk of await openai.chat.completions.create({ ...plain, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.delta.role) roles.push(chunk.choices[0].delta.role);
    }
    expect([text, roles]).toEqual([expected, ["assistant"]]);
  });

  it.each([
    ["an unknown model", { model: "other" }, 404, "model"],
    ["a field that isn't honoured", { best_of: 2 }, 400, "best_of"],
    ["a penalty", { presence_penalty: 1 }, 400, "presence_penalty"],
    ["a field that nobody knows", { mirostat: 2 }, 400, "mirostat"],
    ["more than the model has room for", { max_tokens: 96 }, 400, "max_tokens"],
    ["nothing to answer", { max_tokens: 0 }, 400, "max_tokens"],
    ["a temperature that is none", { temperature: -1 }, 400, "temperature"],
  ])("refuses %s by name", async (_, fields, status, param) => {
    const refused = openai.completions.create({ model, prompt, max_tokens: 2, ...fields } as OpenAI.CompletionCreateParamsNonStreaming);
    await expect(refused).rejects.toMatchObject({ status, param, type: "invalid_request_error" });
  });

  it("refuses tools, pictures and what is no request", async () => {
    const tools = [{ type: "function" as const, function: { name: "f" } }];
    const messages = [{ role: "user" as const, content: "x" }];
    await expect(openai.chat.completions.create({ model, messages, tools })).rejects.toMatchObject({ status: 400, param: "tools" });
    const pictures = [{ role: "user" as const, content: [{ type: "image_url" as const, image_url: { url: "x" } }] }];
    await expect(openai.chat.completions.create({ model, messages: pictures })).rejects.toMatchObject({ status: 400 });
    const headers = { authorization: "Bearer sekret" };
    const broken = await fetch(`${student.url}/completions`, { method: "POST", headers, body: "{" });
    expect([broken.status, (await fetch(`${student.url}/embeddings`, { method: "POST", headers, body: "{}" })).status]).toEqual([400, 404]);
  });

  it("over a run's student has the run's name, and says which version of the weights answers", async () => {
    const bench = await RunBench.start("phases: [{ preset: on_policy_kd, steps: 9 }]");
    await bench.announce(0);
    const role = bench.role("student", "--openai-port=0");
    await role.logged(/is serving/);
    const [, port] = /"grpcPort":.*"openaiPort":(\d+)/.exec(role.log) ?? [];
    const run = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "none" });
    const { text, logprobs } = await run.completions
      .create({ model: bench.runId, prompt: "12=", max_tokens: 0, echo: true, logprobs: 0 })
      .then(({ choices, system_fingerprint: print }) => ({ ...choices[0], text: `${choices[0]?.text} ${print}` }));
    expect(text).toBe("12= policy version 0");
    const { config, params, tokenizer: words } = await loadModel(example("models/student"));
    const ids = words.encode("12=", { addSpecial: true });
    const own = new Scorer(config, params, { device: "cpu", threads: 1, batchTokens: 100 });
    const [score] = await own.score([{ promptIds: ids.slice(0, 1), completionIds: ids.slice(1) }], {
      kind: "sampled",
      k: 0,
      temperature: 1,
    });
    await own.release();
    expectAllClose(Float32Array.from(logprobs!.token_logprobs!.slice(1)), score!.logprobs!, { rtol: 1e-5, atol: 1e-6 });
    await bench.stop();
  });

  it.each(["vllm", "echo"])("of a teacher makes it another Retort's teacher, asked as %s is", async (dialect) => {
    const teacher = await serve("teacher", directory);
    const tokenEnv = "RETORT_TEACHER_TOKEN";
    const options = {
      device: "cpu",
      threads: 1,
      batchTokens: 1,
      metrics: new Metrics("teacher"),
      tokens: { env: { [tokenEnv]: "sekret" }, hosts: "", plaintext: false },
    } as const;
    const backend = openaiBackend(options);
    const server = create(ServerSpecSchema, { url: teacher.url, tokenEnv, dialect: dialect === "vllm" ? "" : dialect });
    const remote = await backend.open({ model: directory, server, vocabRows: 0 });
    const inputs = ["hello there", "12345 and more", "x"].map((text, i) => ({
      promptIds: idsOf("a b c"),
      completionIds: tokenizer.encode(text + i),
    }));
    for (const signal of [
      { kind: "top_k", k: 5, temperature: 1 },
      { kind: "sampled", k: 0, temperature: 1 },
    ] as const) {
      const own = await scorer.score(inputs, signal);
      for (const [i, { logprobs, ids, topLogprobs, tail }] of (await remote.score(inputs, signal)).entries()) {
        expectAllClose(logprobs!, own[i]!.logprobs!, { rtol: 1e-5, atol: 1e-6 });
        expect(ids).toEqual(own[i]!.ids);
        if (topLogprobs) expectAllClose(topLogprobs, own[i]!.topLogprobs!, { rtol: 1e-5, atol: 1e-6 });
        if (tail) expectAllClose(tail.map(Math.exp), own[i]!.tail!.map(Math.exp), { rtol: 0, atol: 3e-6 });
      }
    }
    await backend.close();
    await teacher.process.kill();
  });
});
