import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EvaluationFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec, type Watched } from "../support/runs/local-run.js";
import { retort } from "../support/runs/retort.js";

const spec = tinySpec(
  "evaluated",
  `
rollouts: { maxStaleness: 0 }
rewards: [{ kind: exact_match }]
checkpoints: { everySteps: 2, keep: 1 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
evaluation:
  { path: data/held-out.jsonl, limit: 12, everySteps: 2, samplesPerPrompt: 4, temperatures: [1, 0.3], passAt: [1, 4], keepBest: reverse_kl }
phases:
  - preset: on_policy_kd
    steps: 8
    batchSize: 32
    sampling: { maxNewTokens: 32 }
    optimizer: { learningRate: 0.003 }
`,
);

describe("a run that is evaluated", () => {
  let cluster: LocalCluster;
  let first: Watched;
  let whole: Watched;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    const runId = await cluster.begin(spec);
    // It is stopped in the middle and goes on, so that what it kept must outlive a process.
    first = await cluster.watch(runId, async ({ event }) => {
      if (event.case === "stepFinished" && event.value.step === 5) await cluster.controller.stopRun({ runId });
    });
    await cluster.controller.resumeRun({ runId });
    whole = await cluster.watch(runId);
  });
  afterAll(() => cluster.stop());

  const evaluations = (): EvaluationFinished[] =>
    whole.events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));

  it("measures before the first step, when it is due and after the last", () => {
    expect(first.run.state).toBe(RunState.STOPPED);
    expect([whole.run.state, whole.run.message]).toEqual([RunState.SUCCEEDED, ""]);
    expect(evaluations().map(({ version }) => version)).toEqual([0, 2, 4, 6, 8]);
  });

  it("gives figures that agree with each other", () => {
    for (const { prompts, samples, sampled, reward, greedy, greedyReward, failed, forwardKl, reverseKl } of evaluations()) {
      expect([prompts, failed]).toEqual([12, 0]);
      expect(samples.map(({ temperature }) => temperature)).toEqual([1, 0.3]);
      for (const { quality, passAt, reward, selfBleu, forwardKl, reverseKl, teacherNll } of samples) {
        // The reward of this run is the metric, and pass@1 its mean.
        expect(reward).toBeCloseTo(quality!, 10);
        expect(passAt.map(({ k }) => k)).toEqual([1, 4]);
        expect(passAt[0]!.value).toBeCloseTo(quality!, 10);
        expect(passAt[1]!.value).toBeGreaterThanOrEqual(quality! - 1e-12);
        expect(selfBleu).toBeGreaterThan(0);
        expect(selfBleu).toBeLessThanOrEqual(1);
        for (const divergence of [forwardKl, reverseKl, teacherNll]) expect(divergence).toBeGreaterThan(0);
      }
      expect([sampled, reward, forwardKl, reverseKl]).toEqual([
        samples[0]!.quality,
        samples[0]!.reward,
        samples[0]!.forwardKl,
        samples[0]!.reverseKl,
      ]);
      expect(greedyReward).toBeCloseTo(greedy!, 10);
    }
  });

  it("finds that the student writes more alike when it is colder", () => {
    for (const { samples } of evaluations()) expect(samples[1]!.selfBleu!).toBeGreaterThan(samples[0]!.selfBleu!);
  });

  it("measures the start's divergences as they are known to be", () => {
    // Over all 400 held-out numbers they are 0.370 and 0.463 (README.md); these are 48 samples of 12 of them.
    const { forwardKl, reverseKl } = evaluations()[0]!;
    expect(Math.abs(forwardKl! - 0.37)).toBeLessThan(0.2);
    expect(Math.abs(reverseKl! - 0.463)).toBeLessThan(0.2);
  });

  it("keeps the best checkpoint whatever else is deleted, and says where", async () => {
    const lowest = evaluations().reduce((a, b) => (b.reverseKl! < a.reverseKl! ? b : a));
    const { best, runId } = whole.run;
    expect(best).toMatchObject({ step: lowest.version, metric: "reverse_kl", value: lowest.reverseKl });
    const announced = whole.events.flatMap(({ event }) => (event.case === "bestCheckpoint" ? [event.value] : []));
    expect(announced.at(-1)).toMatchObject({ step: best!.step, path: best!.path, digest: best!.digest });
    for (const name of ["model.safetensors", "optimizer.safetensors", "tokenizer.json", "state.json"]) await access(join(best!.path, name));
    expect(JSON.parse(await readFile(join(best!.path, "state.json"), "utf8"))).toMatchObject({ step: best!.step, digest: best!.digest });
    const root = join(cluster.directory, "runs", runId);
    expect(await readdir(join(root, "best"))).toHaveLength(1);
    expect(await readdir(join(root, "checkpoints"))).toEqual(["step-00000008"]);
  });

  it("gives the best checkpoint to who asks for it", async () => {
    const { best, runId } = whole.run;
    const out = join(cluster.directory, "exported");
    const { code, stdout, stderr } = await retort(["export", runId, "--best", "--out", out, "--json", "--controller", cluster.address]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^fetching .*\n$/)]);
    expect(JSON.parse(stdout)).toMatchObject({ policyVersion: best!.step, digest: best!.digest });
  });
});
