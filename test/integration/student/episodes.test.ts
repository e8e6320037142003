import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { readSettings } from "../../../services/shared/base/settings.js";
import { scoreInput } from "../../../services/shared/codec/train-sequence.js";
import { toFloat32, toRecord } from "../../../services/shared/flow/arrays.js";
import type { Written } from "../../../services/shared/flow/rollouts/sample-task.js";
import { samplesOf, type WrittenCompletion, writtenSequence } from "../../../services/shared/flow/rollouts/sequences.js";
import type {
  EnvironmentServiceResetRequest,
  EnvironmentServiceStepRequest,
} from "../../../services/shared/gen/retort/v1/environment_pb.js";
import { EnvironmentService } from "../../../services/shared/gen/retort/v1/environment_pb.js";
import { PromptTaskSchema, Purpose } from "../../../services/shared/gen/retort/v1/flow_pb.js";
import { saveModel } from "../../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../../services/shared/ml/models/model.js";
import { toolUse } from "../../../services/shared/tasks/tool-use.js";
import { foreignEnvironments, studentSettings } from "../../../services/student/config.js";
import { external } from "../../../services/student/environments/external.js";
import { Episodes } from "../../../services/student/episodes.js";
import { StudentModel } from "../../../services/student/student-model.js";
import { expectAllClose } from "../../support/jest/all-close.js";

const log = createLog("test", { level: "silent", format: "json" });
const listen = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 2 ** 28 };
const chat = { chat: true, system: "", chatTemplateKwargs: {}, chatTemplate: "", nowMs: 0 };
const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 120, topIds: 3 };
const questions = ["17+25*3=", "40-13*5="];

type Answer = (request: EnvironmentServiceStepRequest) => Promise<{
  messages?: { role: string; content: string; extra?: string }[];
  done?: boolean;
  reward?: number;
}>;

/** Says how long the text was, three times. */
const counting: Answer = async ({ turn, text }) => ({
  messages: [{ role: "tool", content: String(text.length) }],
  done: turn === 3,
  reward: turn + 0.5,
});

// A real model with random weights, and a real server: what is written is nonsense, and how turns are put together shows.
describe("Episodes", () => {
  let directory: string;
  let model: StudentModel;
  let server: RpcServer;
  let answer: Answer;
  let resets: EnvironmentServiceResetRequest[] = [];
  let steps: EnvironmentServiceStepRequest[] = [];
  let ended: string[] = [];
  const serve = async (port = 0) => {
    const service = implement(EnvironmentService, {
      reset: async (request) => {
        resets.push(request);
        return {};
      },
      step: async (request) => {
        steps.push(request);
        return answer(request);
      },
      end: async ({ episode }) => {
        ended.push(episode);
        return {};
      },
    });
    const started = new RpcServer([service], { ...listen, port }, log);
    await started.start();
    return started;
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-episodes-"));
    const tokenizer = toolUse.tokenizer();
    const sizes = { hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2 };
    const raw = { model_type: "llama", vocab_size: tokenizer.size, hidden_act: "silu", initializer_range: 0.3, eos_token_id: 2, ...sizes };
    await saveModel(directory, initModel({ ...raw, rms_norm_eps: 1e-5, max_position_embeddings: 512 }, tokenizer, 3n));
    model = new StudentModel(studentSettings.parse({ threads: 1 }));
    await model.open({ directory });
  });
  afterAll(async () => {
    await model.close();
    await rm(directory, { recursive: true });
  });
  beforeEach(async () => {
    [resets, steps, ended, answer] = [[], [], [], counting];
    server = await serve();
  });
  afterEach(() => server.stop());

  const conversationOf = (content: string) => ({ messages: [{ role: "user", content }] });
  const task = async (leftMs = 60_000) => {
    const ids = await model.encode(
      questions.map(conversationOf).map((one) => create(PromptTaskSchema, { prompts: [{ conversation: one }] }).prompts[0]!.conversation!),
      chat,
    );
    return create(PromptTaskSchema, {
      key: { runId: "r", purpose: Purpose.TRAIN, step: 1, task: 4, attempt: 1 },
      prompts: questions.map((text, i) => ({
        index: i,
        text,
        reference: `${i}`,
        ids: toRecord(ids[i]!),
        conversation: conversationOf(text),
      })),
      samplesPerPrompt: 3,
      seed: 5n,
      deadline: timestampFromMs(Date.now() + leftMs),
    });
  };
  const write = async ({
    maxTurns = 8,
    maxReplyTokens = 200,
    leftMs = 60_000,
    maxNewTokens = sampling.maxNewTokens,
    lingerMs = 0,
    during = (_: Episodes) => {},
  } = {}) => {
    const environment = external(`127.0.0.1:${server.port}`, foreignEnvironments(readSettings(studentSettings, [], {})));
    const episodes = new Episodes(environment, model, { maxTurns, maxReplyTokens, chat, stepTimeoutMs: 60_000 });
    const given = await task(leftMs);
    const written: Written[][] = [];
    during(episodes);
    try {
      await episodes.write([samplesOf(given)], { ...sampling, maxNewTokens }, (group, outcomes) => {
        written[group] = [...outcomes];
      });
    } finally {
      await new Promise((resolve) => setTimeout(resolve, lingerMs));
      episodes.close();
    }
    return { task: given, written: written[0]! };
  };
  const completions = (written: readonly Written[]): WrittenCompletion[] =>
    written.map((one) => {
      if ("refusal" in one) throw new Error(one.refusal);
      return one;
    });
  const refusals = (written: readonly Written[]) => written.map((one) => ("refusal" in one ? one.refusal : ""));

  it("puts turns and answers together: the student's tokens are what it sampled, and the model's own behind all that it has read", async () => {
    const { task: given, written } = await write();
    const all = completions(written);
    expect(all.some(({ episode }) => episode!.replies.length === 3)).toBe(true);
    const sequences = samplesOf(given).map((sample, i) => writtenSequence(given, sample, all[i]!, 0));
    const scores = await model.score(
      sequences.map((one) => scoreInput(one)),
      { kind: "student_top_k", k: 3, temperature: 1 },
    );
    for (const [i, sequence] of sequences.entries()) {
      expectAllClose(scores[i]!.logprobs!, toFloat32(sequence.samplerLogprobs, "logprobs"), { rtol: 1e-4, atol: 1e-4 }, `sample ${i}`);
      // Of each turn but the last, the end token was its own; the answer begins behind it.
      const tokenizer = toolUse.tokenizer();
      for (const { at, ids, text } of all[i]!.episode!.replies) {
        expect(all[i]!.ids[at - 1]).toBe(2);
        expect(text).toMatch(/^<\|tool\|>\d+<\|assistant\|>$/);
        expect([...tokenizer.encode(text)]).toEqual([...ids]);
      }
    }
  });

  it("asks the environment turn by turn, with a seed of its own for each sample, and adds up what it pays", async () => {
    const { task: given, written } = await write();
    const all = completions(written);
    expect(resets.map(({ seed }) => seed).sort()).toEqual(
      samplesOf(given)
        .map(({ seed }) => seed)
        .sort(),
    );
    expect(resets.map(({ reference, conversation }) => [reference, conversation!.messages[0]!.content]).sort()).toEqual(
      [0, 0, 0, 1, 1, 1].map((i) => [`${i}`, questions[i]]),
    );
    expect(new Set(resets.map(({ episode }) => episode)).size).toBe(6);
    for (const [i, { episode }] of all.entries()) {
      const { seed } = samplesOf(given)[i]!;
      const own = steps.filter(({ episode }) => episode === resets.find((reset) => reset.seed === seed)!.episode);
      expect(own.map(({ turn }) => turn)).toEqual(own.map((_, n) => n));
      expect(own).toHaveLength(episode!.replies.length + 1);
      expect(episode!.reward).toBe(own.reduce((sum, { turn }) => sum + turn + 0.5, 0));
      expect(own.at(-1)!.text).toBe(all[i]!.text);
    }
  });

  it("makes the same bits again, however long the environment takes", async () => {
    const first = await write();
    answer = async (request) => {
      await new Promise((resolve) => setTimeout(resolve, (request.text.length * 37) % 90));
      return counting(request);
    };
    const second = await write();
    expect(second.written).toEqual(first.written);
  });

  it("ends at the most turns, tells the environment which is the last, and takes leave", async () => {
    answer = async ({ turn }) => ({ messages: [{ role: "tool", content: "1" }], reward: turn === 1 ? 2 : 0 });
    const { written } = await write({ maxTurns: 2, lingerMs: 500 });
    const two = completions(written).filter(({ episode }) => episode!.replies.length === 1);
    expect(two.length).toBeGreaterThan(0);
    for (const { finish, episode } of two) expect([finish, episode!.reward]).toEqual(["length", 2]);
    for (const { turn, last } of steps) if (turn === 1) expect(last).toBe(true);
    expect(ended.sort()).toEqual(resets.map(({ episode }) => episode).sort());
  });

  it("never writes more than maxNewTokens, of all turns together", async () => {
    const { written } = await write({ maxNewTokens: 40 });
    for (const { ids, finish } of completions(written)) {
      expect(ids.length).toBeLessThanOrEqual(40);
      if (ids.length === 40) expect(finish).toBe("length");
    }
    expect(completions(written).some(({ ids }) => ids.length === 40)).toBe(true);
  });

  it("reads no answer beyond maxReplyTokens: the turn before was the last", async () => {
    answer = async () => ({ messages: [{ role: "tool", content: "1".repeat(30) }] });
    const { written } = await write({ maxReplyTokens: 40 });
    for (const { episode, finish } of completions(written)) {
      expect(episode!.replies.length).toBeLessThanOrEqual(1);
      expect(finish).toBe("length");
    }
  });

  it.each<[string, Answer, RegExp]>([
    [
      "refuses",
      async () => {
        throw new RetortError("InvalidArgument", "no such move");
      },
      /the environment at .*: the server gave no answer \(InvalidArgument: no such move\)/,
    ],
    ["says nothing and goes on", async () => ({}), /has no message, and the episode isn't over/],
    [
      "speaks for the student",
      async () => ({ messages: [{ role: "assistant", content: "yes" }] }),
      /role assistant, which is the student's own/,
    ],
    ["pays what is no number", async () => ({ done: true, reward: Number.NaN }), /pays NaN; a reward must be finite/],
    ["pays too much", async () => ({ done: true, reward: 1e30 }), /pays 1e\+30/],
    ["says too much", async () => ({ messages: [{ role: "tool", content: "1".repeat(2 ** 20 + 1) }] }), /has 1048577 characters; at most/],
    [
      "sends what is no JSON",
      async () => ({ messages: [{ role: "tool", content: "1", extra: "{" }] }),
      /cannot be read: .*extra is not JSON/,
    ],
  ])("records the outcome of every sample whose environment %s", async (_, wrong, message) => {
    answer = wrong;
    const failures = refusals((await write()).written).filter(Boolean);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatch(message);
  });

  it("outlives an environment that is away for two seconds", async () => {
    const { port } = server;
    await server.stop();
    const writing = write();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    server = await serve(port);
    expect(completions((await writing).written)).toHaveLength(6);
  });

  it("records that an environment was away for as long as the task could wait", async () => {
    await server.stop();
    const started = performance.now();
    const { written } = await write({ leftMs: 3000 });
    for (const failure of refusals(written)) expect(failure).toMatch(/gave no answer for .* s, however often it was asked \(Unavailable/);
    expect(performance.now() - started).toBeLessThan(15_000);
    server = await serve();
  });

  it("is given up at once when the student stops", async () => {
    answer = () => new Promise(() => {});
    await expect(write({ during: (episodes) => setTimeout(() => episodes.stop(), 1500) })).rejects.toMatchObject({ code: "Cancelled" });
  });
});
