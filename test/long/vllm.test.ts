import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Metrics } from "../../services/shared/base/metrics.js";
import { uniform } from "../../services/shared/base/random.js";
import { ServerSpecSchema } from "../../services/shared/gen/retort/v1/server_pb.js";
import { saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import type { ScoreInput } from "../../services/shared/ml/signals/signal.js";
import { characterTokenizer } from "../../services/shared/ml/text/character-tokenizer.js";
import { openaiBackend } from "../../services/teacher/backends/openai/backend.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { eventually } from "../support/servers/nats.js";
import { freePort } from "../support/tools/free-port.js";

const program = process.env.RETORT_VLLM ?? "";
const tokenEnv = "RETORT_TEACHER_TOKEN";
const characters = " !\"'()*,-./0123456789:;=?ABCDEFGHIJKLMNOPQRSTUVWXYZ\nabcdefghijklmnopqrstuvwxyz";
const tokenizer = characterTokenizer(characters);
const model = initModel(
  {
    ...{ model_type: "llama", hidden_size: 256, intermediate_size: 512, num_hidden_layers: 2, num_attention_heads: 4, hidden_act: "silu" },
    ...{ num_key_value_heads: 2, head_dim: 64, max_position_embeddings: 256, rms_norm_eps: 1e-5, initializer_range: 0.1 },
    ...{ vocab_size: tokenizer.size, bos_token_id: 1, eos_token_id: 2, tie_word_embeddings: true, architectures: ["LlamaForCausalLM"] },
  },
  tokenizer,
  7n,
);

if (!program)
  console.warn(
    "vLLM is not asked, so that its answers are what they were is not tested: set RETORT_VLLM to its program (pip install vllm)",
  );

(program ? describe : describe.skip)("a teacher whose model vLLM runs", () => {
  let directory: string;
  let server: ChildProcess;
  let url: string;
  let log = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-vllm-"));
    await saveModel(directory, model);
    const port = await freePort();
    url = `http://127.0.0.1:${port}/v1`;
    const argv = ["serve", directory, "--host", "127.0.0.1", "--port", `${port}`, "--dtype", "float32", "--enforce-eager"];
    server = spawn(program, [...argv, "--served-model-name", "small", "--max-logprobs", "64", "--api-key", "sekret"], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { VLLM_CPU_KVCACHE_SPACE: "1", VLLM_CPU_OMP_THREADS_BIND: "nobind", ...process.env },
    });
    for (const stream of [server.stdout, server.stderr])
      stream?.on("data", (text: Buffer) => {
        log = (log + text).slice(-5000);
      });
    const serves = () =>
      fetch(new URL("/health", url)).then(
        ({ ok }) => ok,
        () => false,
      );
    await eventually(`vLLM serves; its log ends with ${log}`, serves, 240_000, 500);
  }, 300_000);
  afterAll(async () => {
    if (server?.pid && server.exitCode === null) {
      const gone = once(server, "exit");
      process.kill(-server.pid, "SIGTERM");
      await gone;
    }
    await rm(directory, { recursive: true });
  }, 60_000);

  it.each(["vllm", "echo"])("scores as the same weights do here, asked as %s is", async (dialect) => {
    const backend = openaiBackend({
      ...{ device: "cpu", threads: 1, batchTokens: 1, metrics: new Metrics("teacher") },
      tokens: { env: { [tokenEnv]: "sekret" }, hosts: "", plaintext: false },
    });
    const spec = create(ServerSpecSchema, { url, tokenEnv, dialect: dialect === "vllm" ? "" : dialect });
    const teacher = await backend.open({ model: directory, server: spec, vocabRows: 0 });
    const { offer, warnings, maxPositions } = await teacher.facts(false);
    expect({ offer, warnings, maxPositions }).toMatchObject({ offer: { dialect, largestK: 64 }, warnings: [], maxPositions: 255 });
    const inputs = Array.from({ length: 9 }, (_, i): ScoreInput => {
      const ids = Int32Array.from({ length: 12 + 20 * i }, (_, at) => Math.floor(uniform(5n, i, at) * tokenizer.size));
      return { promptIds: ids.slice(0, 5), completionIds: ids.slice(5) };
    });
    const scorer = new Scorer(model.config, model.params, { device: "cpu", threads: 1, batchTokens: 2000 });
    const signal = { kind: "top_k", k: 8, temperature: 1 } as const;
    const own = await scorer.score(inputs, signal);
    for (const [i, { logprobs, topLogprobs, tail }] of (await teacher.score(inputs, signal)).entries()) {
      expectAllClose(logprobs!, own[i]!.logprobs!, { rtol: 0, atol: 1e-4 });
      expectAllClose(topLogprobs!, own[i]!.topLogprobs!, { rtol: 0, atol: 1e-4 });
      expectAllClose(tail!, own[i]!.tail!, { rtol: 0, atol: 1e-4 });
    }
    const sampled = { kind: "sampled", k: 0, temperature: 1 } as const;
    for (const [i, { logprobs }] of (await teacher.score(inputs, sampled)).entries())
      expectAllClose(logprobs!, own[i]!.logprobs!, { rtol: 0, atol: 1e-4 });
    await scorer.release();
    await backend.close();
  });
});
