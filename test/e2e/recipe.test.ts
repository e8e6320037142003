import { join, resolve } from "node:path";
import { distil } from "../../deploy/examples/recipe.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const phase = (body: string) => `
rollouts: { maxStaleness: 0 }
checkpoints: { everySeconds: 0 }
phases: [{ steps: 6, batchSize: 8, sampling: { maxNewTokens: 16 }, optimizer: { learningRate: 0.001 }, ${body} }]
`;

// The recipe is read as what the services do: so it must do it.
describe("the recipe in one file", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it.each([
    ["on-policy", "preset: on_policy_kd"],
    ["mixed", "preset: gkd, lambda: 0.5, samplesPerPrompt: 2, objective: { divergence: jsd, beta: 0.3, signal: top_k, topK: 8 }"],
  ])("has the losses of the services (%s)", async (name, body) => {
    const text = tinySpec(name, phase(body));
    const { run, events } = await cluster.watch(await cluster.begin(text));
    expect(run.message).toBe("");
    const losses = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.loss] : []));
    const own: number[] = [];
    for await (const { loss } of distil(parseSpec(text, join(resolve("deploy/examples/num2words"), "test.yaml")))) own.push(loss);
    expect(own).toHaveLength(6);
    for (const [i, loss] of own.entries()) expect(loss).toBeCloseTo(losses[i]!, 6);
  });
});
