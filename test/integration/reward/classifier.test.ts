import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type RewardServer, serveRewards } from "../../../services/cli/models/model-server.js";
import type { RewardSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { classifierFixture } from "../../support/models/fixtures.js";

interface Golden {
  readonly inputs: readonly (readonly [string, string?])[];
  readonly logits: readonly (readonly number[])[];
}
const goldenOf = async (name: string): Promise<Golden> => JSON.parse(await readFile(join(classifierFixture(name), "golden.json"), "utf8"));
const softmax = (logits: readonly number[], at: number) => Math.exp(logits[at]!) / logits.reduce((sum, x) => sum + Math.exp(x), 0);

describe("the reward `classifier` of a reward process", () => {
  let server: RewardServer;
  beforeAll(async () => {
    server = await serveRewards();
  });
  afterAll(() => server.stop());

  const judge = async (texts: readonly (readonly [string, string])[], spec: MessageInitShape<typeof RewardSpecSchema>) => {
    const inputs = texts.map(([prompt, completion]) => ({ prompt, completion, completionTokens: 1 }));
    const { rewards } = await server.client.evaluate({ inputs, rewards: [{ kind: "classifier", ...spec }] });
    return rewards;
  };

  it("is the probability of a class of prompt and completion", async () => {
    const { inputs, logits } = await goldenOf("llama");
    const texts = inputs.map(([text]) => [text.slice(0, 3), text.slice(3)] as const);
    for (const [at, label] of [
      [2, "good"],
      [0, "bad"],
    ] as const) {
      const found = await judge(texts, { model: classifierFixture("llama"), label });
      found.forEach(({ value, components, failure }, i) => {
        expect(failure).toBe("");
        expect(value).toBeCloseTo(softmax(logits[i]!, at), 4);
        expect(components).toEqual({ classifier: value });
      });
    }
  });

  it("is the logit of a model with one", async () => {
    const { inputs, logits } = await goldenOf("qwen3");
    const found = await judge(
      inputs.map(([text]) => ["unread", text] as const),
      { model: classifierFixture("qwen3"), template: "{{ completion }}", weight: 2 },
    );
    found.forEach(({ value, components }, i) => {
      expect(components.classifier).toBeCloseTo(logits[i]![0]!, 4);
      expect(value).toBeCloseTo(2 * logits[i]![0]!, 3);
    });
  });

  it("reads premise and hypothesis as a pair, by an exported encoder", async () => {
    const { inputs, logits } = await goldenOf("encoder");
    const model = join(classifierFixture("encoder"), "model.onnx");
    const found = await judge(inputs as readonly [string, string][], {
      ...{ model, label: "entailment" },
      ...{ template: "{{ prompt }}", pairTemplate: "{{ completion }}" },
    });
    found.forEach(({ value }, i) => {
      expect(value).toBeCloseTo(softmax(logits[i]!, 2), 4);
    });
  });

  it("is a probability by itself where a text may belong to several classes, by a model that comes to lie there later", async () => {
    const directory = await mkdtemp(join(tmpdir(), "retort-classifier-"));
    try {
      const several = join(directory, "several");
      const spec = { model: join(several, "model.onnx"), label: "entailment", template: "{{ prompt }}", pairTemplate: "{{ completion }}" };
      const { inputs, logits } = await goldenOf("encoder");
      await expect(judge(inputs as readonly [string, string][], spec)).rejects.toThrow(/there is no .*several/);
      await cp(classifierFixture("encoder"), several, { recursive: true });
      const config = JSON.parse(await readFile(join(several, "config.json"), "utf8"));
      await writeFile(join(several, "config.json"), JSON.stringify({ ...config, problem_type: "multi_label_classification" }));
      const found = await judge(inputs as readonly [string, string][], spec);
      found.forEach(({ value }, i) => {
        expect(value).toBeCloseTo(1 / (1 + Math.exp(-logits[i]![2]!)), 4);
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("refuses a template that cannot be meant", async () => {
    await expect(judge([["a", "b"]], { model: classifierFixture("qwen3"), template: "{{ completon }}" })).rejects.toThrow(
      /rewards\[0\]\.template: names "completon"/,
    );
  });

  it("fails for a text that is too long, and for that alone", async () => {
    const texts = [
      ["a", "b"],
      ["a ".repeat(70), "b"],
    ] as const;
    const [short, long] = await judge(texts, { model: classifierFixture("llama"), label: "good" });
    expect(short!.failure).toBe("");
    expect(long!.failure).toMatch(/reward classifier .*llama failed: the text has \d+ tokens, and the classifier takes 64/);
  });

  it("says what is wrong with a label or a model, and goes on", async () => {
    await expect(judge([["a", "b"]], { model: classifierFixture("llama"), label: "great" })).rejects.toThrow(
      /no class "great"; classes: "bad", "so-so", "good"/,
    );
    await expect(judge([["a", "b"]], { model: "/nowhere" })).rejects.toThrow(/there is no \/nowhere/);
    expect(await judge([["a", "b"]], { model: classifierFixture("llama"), label: "good" })).toHaveLength(1);
  });
});
