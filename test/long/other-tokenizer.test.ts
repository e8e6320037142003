import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { EvaluationFinished, StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster } from "../support/runs/local-run.js";

const path = resolve("deploy/examples/num2words/other-tokenizer.yaml");
const example = readFileSync(path, "utf8");
const steps = 30;
const classes = "preset: on_policy_kd\n    lambda: 1";
/** The example with fewer steps, and a few rows to measure it with. */
const short = example
  .replace("steps: 200", `steps: ${steps}`)
  .replace("limit: 200, everySteps: 50", "limit: 64")
  .replace("warmupSteps: 20", "warmupSteps: 2")
  .replace("learningRate: 1.0e-3", "learningRate: 4.0e-3");

describe("a run whose teacher has a tokenizer of its own", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("is refused by name without saying so, and in what isn't defined across tokenizers", async () => {
    const problemsOf = async (text: string) =>
      (await cluster.controller.validateRun({ spec: parseSpec(text, path) })).problems.map(({ field, message }) => `${field} ${message}`);
    expect(await problemsOf(example)).toEqual([]);
    const [unsaid] = await problemsOf(example.replace(", tokenizer: own", ""));
    expect(unsaid).toMatch(/^teachers\[0\]\.model .*has ids up to 98.*teachers\[\]\.tokenizer: own/);
    const [kl] = await problemsOf(example.replace("preset: opd", "preset: on_policy_kd"));
    expect(kl).toMatch(/^phases\[0\]\.objective\.signal is full, .* use top_k, or opd with sampled/);
  });

  const bothObjectives: [string, string, number][] = [
    // A log-probability and a length of each of the teacher's tokens, of which a word has several of the student's.
    ["opd", short, 6],
    // Its most probable classes besides.
    [
      "a divergence over classes",
      short.replace("preset: opd", `${classes}\n    objective: { divergence: reverse_kl, signal: top_k, topK: 98 }`),
      300,
    ],
  ];
  it.each(bothObjectives)(
    "teaches the student by %s, whose held-out figures improve, and accounts for every sample",
    async (_, text, bytes) => {
      const { run } = await cluster.controller.startRun({ spec: parseSpec(text, path) });
      const watched = await cluster.watch(run!.runId);
      expect([watched.run.state, watched.run.message]).toEqual([RunState.SUCCEEDED, ""]);
      const of = <T>(name: string) => watched.events.flatMap(({ event }) => (event.case === name ? [event.value as T] : []));
      const [before, after] = of<EvaluationFinished>("evaluationFinished");
      expect(after!.teacherNll).toBeLessThan(0.9 * before!.teacherNll!);
      // Between distributions over other classes there is no divergence.
      expect([before!.forwardKl, before!.reverseKl]).toEqual([undefined, undefined]);
      const trained = of<StepFinished>("stepFinished");
      expect(trained).toHaveLength(steps);
      for (const step of trained) {
        expect(step.sequences + step.failedPrompts).toBe(256);
        expect(step.alignedShare).toBeGreaterThan(0.8);
        expect(step.tokensPerSpan).toBeGreaterThan(2);
        expect(step.signalBytesPerToken).toBeLessThan(bytes);
      }
    },
  );

  it("brings the student's sorted probabilities to the teacher's by uld, whatever tokens they are", async () => {
    const ranks = short
      .replace("preset: opd", `${classes}\n    objective: { divergence: uld, signal: top_k, topK: 41 }`)
      .replace(`steps: ${steps}`, "steps: 60");
    const { run } = await cluster.controller.startRun({ spec: parseSpec(ranks, path) });
    const watched = await cluster.watch(run!.runId);
    expect([watched.run.state, watched.run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const distances = watched.events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.divergence] : []));
    const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    expect(mean(distances.slice(-10))).toBeLessThan(0.9 * mean(distances.slice(0, 10)));
  });
});
