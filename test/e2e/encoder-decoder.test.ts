import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { LocalCluster } from "../support/runs/local-run.js";

const examples = resolve("deploy/examples/num2words");
const tokenizer = join(examples, "models/teacher");

/** A run of an encoder-decoder from scratch on num2words. */
const specOf = (name: string, width: number, teachers: readonly string[], phases: string) => `
name: ${name}
seed: 3
student:
  init: { architecture: t5, hiddenSize: ${width}, intermediateSize: ${2 * width}, layers: 2, heads: 4, tokenizer: ${tokenizer} }
teachers: [${teachers.map((model) => `{ model: ${model} }`).join(", ")}]
data: { path: ${join(examples, "data/train.jsonl")} }
rollouts: { maxStaleness: 0 }
phases:
${phases}`;

const phaseOf = (preset: string, steps: number) => `
  - preset: ${preset}
    steps: ${steps}
    batchSize: 32
    sampling: { maxNewTokens: 32 }
    optimizer: { learningRate: 5.0e-3, schedule: linear, warmupSteps: 5 }`;

const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

describe("an encoder-decoder (T5)", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  async function train(spec: string): Promise<{ output: string; steps: StepFinished[] }> {
    const { run, events } = await cluster.watch(await cluster.begin(spec));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    return { output: run.output, steps: events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : [])) };
  }

  it("is fine-tuned from scratch, then distilled into a smaller one on that one's own samples", async () => {
    const teacher = await train(specOf("teacher", 32, [], phaseOf("sft", 60)));
    const losses = teacher.steps.map(({ loss }) => loss);
    expect(mean(losses.slice(-5))).toBeLessThan(0.6 * mean(losses.slice(0, 5)));

    const phases = `${phaseOf("sft", 15)}${phaseOf("on_policy_kd", 25)}`;
    const student = await train(specOf("student", 16, [teacher.output], phases));
    const distilled = student.steps.slice(15);
    expect(distilled).toHaveLength(25);
    for (const { mismatchKl, failedPrompts, gradientNorm } of distilled) {
      expect(failedPrompts).toBe(0);
      expect(gradientNorm).toBeGreaterThan(0);
      // The sampler and the trainer find the same log-probabilities.
      expect(Math.abs(mismatchKl)).toBeLessThan(1e-6);
    }
    const divergences = distilled.map(({ divergence }) => divergence);
    expect(mean(divergences.slice(-5))).toBeLessThan(mean(divergences.slice(0, 5)));

    // What was saved is a whole model, as other programs read it.
    const saved = JSON.parse(await readFile(join(student.output, "config.json"), "utf8")) as Record<string, unknown>;
    expect(saved).toMatchObject({ architectures: ["T5ForConditionalGeneration"], decoder_start_token_id: 0, scale_decoder_outputs: true });
    const { config, params, tokenizer } = await loadModel(student.output);
    const sampler = new Sampler(config, params, { device: "cpu", threads: 1, chunkTokens: 16, maxRows: 4 });
    const sampling = { temperature: 0, topK: 0, topP: 1, maxNewTokens: 32, stopIds: config.eosIds };
    const [completion] = await sampler.sample([{ promptIds: tokenizer.encode("347="), seed: 1n }], sampling);
    await sampler.release();
    expect(tokenizer.decode(completion!.ids)).toMatch(/^[a-z ]+$/);
  });
});
