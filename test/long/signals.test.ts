import type { StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const vocab = 41;
/** Width of the example teacher's hidden states. */
const width = 64;

const spec = (objective: string, more = "", top = "") =>
  tinySpec(
    "signals",
    `
rollouts: { maxStaleness: 0 }
${top}
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: 3
    batchSize: 8
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.001 }
    objective: { ${objective} }
    ${more}
`,
  );

describe("runs that differ in what the teacher sends only", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  async function stepsOf(objective: string, more?: string, top?: string): Promise<StepFinished[]> {
    const { run, events } = await cluster.watch(await cluster.begin(spec(objective, more, top)));
    expect(run.message).toBe("");
    expect(run.state).toBe(RunState.SUCCEEDED);
    return events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
  }
  const figures = (steps: readonly StepFinished[]) =>
    steps.flatMap(({ loss, divergence, gradientNorm }) => [loss, divergence, gradientNorm]);

  it("take the same steps where the signal says all there is to say", async () => {
    const full = await stepsOf("divergence: jsd");
    expect(full.map(({ signalBytesPerToken }) => signalBytesPerToken)).toEqual(new Array(3).fill(4 * vocab + 4));
    const same: readonly [string, number, number][] = [
      [`signal: top_k, topK: ${vocab}`, 8 * vocab + 8, 1e-3],
      // The ids that the student sent along are counted too.
      [`signal: student_top_k, topK: ${vocab}`, 8 * vocab + 8, 1e-3],
      ["signal: hidden, hiddenDtype: float32", 4 * width, 1e-3],
      ["signal: hidden", 2 * width, 2e-2],
    ];
    for (const [signal, bytes, rtol] of same) {
      const steps = await stepsOf(`divergence: jsd, ${signal}`);
      expectAllClose(figures(steps), figures(full), { rtol, atol: 1e-5 }, signal);
      expect(steps.map(({ signalBytesPerToken }) => signalBytesPerToken)).toEqual(new Array(3).fill(bytes));
    }
  });

  it("come close with k classes of the student's choice, at k's bytes", async () => {
    const full = await stepsOf("divergence: reverse_kl");
    const steps = await stepsOf("divergence: reverse_kl, signal: student_top_k, topK: 8");
    expect(steps.map(({ signalBytesPerToken }) => signalBytesPerToken)).toEqual(new Array(3).fill(8 * 8 + 8));
    // The divergence of a coarser partition is never larger.
    expect(steps[0]!.divergence).toBeLessThanOrEqual(full[0]!.divergence * (1 + 1e-5));
    expect(steps[0]!.divergence).toBeGreaterThan(full[0]!.divergence * 0.8);
  });

  it("estimate the forward KL from draws", async () => {
    const full = await stepsOf("divergence: forward_kl");
    const steps = await stepsOf("divergence: forward_kl, signal: random_k, topK: 400");
    expect(Math.abs(steps[0]!.divergence - full[0]!.divergence)).toBeLessThan(0.1);
    for (const { signalBytesPerToken } of steps) expect(signalBytesPerToken).toBeLessThanOrEqual(6 * vocab + 8);
  });

  it("take a policy gradient of the sampled tokens from 4 bytes each, and its baseline from the distribution", async () => {
    const sampled = await stepsOf("divergence: opd, signal: sampled");
    expect(sampled.map(({ signalBytesPerToken }) => signalBytesPerToken)).toEqual([4, 4, 4]);
    const full = await stepsOf("divergence: opd, signal: full");
    expectAllClose(figures(sampled), figures(full), { rtol: 1e-4, atol: 1e-5 });
    const centred = await stepsOf("divergence: opd, signal: full, klBaseline: true");
    expectAllClose([centred[0]!.divergence], [full[0]!.divergence], { rtol: 1e-5 });
    expect(centred[0]!.gradientNorm).not.toBeCloseTo(full[0]!.gradientNorm, 3);
  });

  it("sample no more than what counts, where only a prefix does", async () => {
    const steps = await stepsOf("divergence: forward_kl, prefixTokens: 3");
    for (const { completionTokens, meanLength } of steps) {
      expect(completionTokens).toBeLessThanOrEqual(8 * 3);
      expect(meanLength).toBeLessThanOrEqual(3);
    }
    const dataset = await stepsOf("divergence: forward_kl, prefixTokens: 3", "lambda: 0");
    for (const { completionTokens } of dataset) expect(completionTokens).toBeLessThanOrEqual(8 * 3);
    // A reward must see the whole completion, of which again only the prefix counts.
    const rewarded = await stepsOf("divergence: forward_kl, alpha: 0.5, prefixTokens: 3", "", "rewards: [{ kind: rouge_l }]");
    for (const { completionTokens, meanLength, reward } of rewarded) {
      expect(completionTokens).toBeLessThanOrEqual(8 * 3);
      expect(meanLength).toBeGreaterThan(3);
      expect(reward).toBeGreaterThan(0);
    }
  });

  it.each<[string, string, RegExp]>([
    ["a divergence that the signal cannot give", "divergence: jsd, signal: sampled", /objective\.signal.*sampled, which cannot give jsd/],
    ["draws for a reverse KL", "divergence: reverse_kl, signal: random_k", /objective\.signal.*random_k, which cannot give reverse_kl/],
    [
      "more classes than the vocabulary has",
      "signal: top_k, topK: 42",
      /objective\.topK.*is 42; it must lie in \[1, 41, the vocabulary's size\]/,
    ],
    [
      "the student's classes on dataset text",
      "signal: student_top_k }\n    lambda: 0.5 #",
      /objective\.signal.*student_top_k with lambda 0\.5/,
    ],
    ["a temperature of 0 in the loss", "studentTemperature: 0", /phases\[0\]\.objective\.student_?[tT]emperature/],
  ])("refuse %s before they start", async (_, objective, message) => {
    await expect(cluster.begin(spec(objective))).rejects.toThrow(message);
  });
});
