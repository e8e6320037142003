import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrainingSample } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { writeTask } from "../../services/shared/tasks/task-files.js";
import { LocalCluster } from "../support/runs/local-run.js";

const init = "architecture: llama, hiddenSize: 32, intermediateSize: 64, layers: 2, heads: 4, initializerRange: 0.1, maxPositions: 256";

describe("a run with an environment", () => {
  let cluster: LocalCluster;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-turns-"));
    await writeTask("tool-use", directory, { train: 1500, sft: 300, seed: 1n, force: true });
    cluster = await LocalCluster.start();
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  it("learns from what a student writes between a calculator's answers, and from that alone", async () => {
    const runId = await cluster.begin(`
name: turns
student: { init: { ${init}, tokenizer: ${directory}/tokenizer } }
data: { path: ${directory}/sft.jsonl, chat: true }
environment: { kind: calculator, maxTurns: 5, maxReplyTokens: 60 }
rewards: [{ kind: environment }]
rollouts: { maxStaleness: 0 }
evaluation: { path: ${directory}/held-out.jsonl, limit: 40 }
tracking: { samples: 8, everySteps: 1 }
phases:
  - { preset: sft, steps: 400, batchSize: 64, sampling: { maxNewTokens: 120 }, optimizer: { learningRate: 0.01, schedule: cosine, warmupSteps: 20 } }
  - { preset: rl, steps: 3, batchSize: 16, samplesPerPrompt: 2, sampling: { maxNewTokens: 120 }, optimizer: { learningRate: 0.001 } }`);
    const { run, events } = await cluster.watch(runId);
    expect([run.message, run.state]).toEqual(["", RunState.SUCCEEDED]);
    const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    for (const { mismatchKl } of steps.slice(-3)) expect(Math.abs(mismatchKl)).toBeLessThan(1e-4);
    const samples = events.flatMap(({ event }) =>
      event.case === "samplesRecorded" && event.value.step > 400 ? event.value.samples : ([] as TrainingSample[]),
    );
    const answered = samples.filter(({ replies }) => replies.length > 0);
    expect(answered.length).toBeGreaterThan(8);
    for (const { replies, tokens, learnerLogprobs, samplerLogprobs } of answered) {
      expect([learnerLogprobs.length, samplerLogprobs.length]).toEqual([tokens.length, tokens.length]);
      for (const { at, text } of replies) {
        expect(tokens[at - 1]).toBe("</s>");
        expect(text).toMatch(/^<\|tool\|>[^|]+<\|assistant\|>$/);
        expect(tokens.join("")).not.toContain("<|tool|>");
      }
    }
    const rewards = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value.greedyReward ?? Number.NaN] : []));
    // Before the first step nothing is right; after the turns were shown, something is.
    expect(rewards[0]).toBe(0);
    expect(rewards.at(-1)).toBeGreaterThan(0.02);
    const { audit } = await cluster.controller.auditRun({ runId });
    expect(audit).toMatchObject({ holds: true, steps: 403, samples: BigInt(400 * 64 + 3 * 32), failed: 0n });
  });
});
