import { parseSpec } from "../../../../../services/shared/flow/runs/spec.js";
import { checkSpec } from "../../../../support/runs/check-spec.js";
import { specOf } from "../../../../support/runs/run-spec.js";

const init = { architecture: "llama", hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2 };

describe("checkSpec()", () => {
  it("takes large numbers that a machine could hold", () => {
    const large = { steps: 1_000_000, batchSize: 4096, samplesPerPrompt: 16, sampling: { maxNewTokens: 16_384 } };
    const wide = { ...init, hiddenSize: 8192, intermediateSize: 28_672, layers: 80, heads: 64 };
    expect(checkSpec(specOf({ phases: [large], student: { init: wide } }))).toEqual([]);
  });

  it.each<[string, Parameters<typeof specOf>[0], string, RegExp]>([
    ["2³²−1 prompts", { phases: [{ steps: 1, batchSize: 2 ** 32 - 1 }] }, "phases[0].batchSize", /65536/],
    ["2³²−1 samples", { phases: [{ steps: 1, samplesPerPrompt: 2 ** 32 - 1 }] }, "phases[0].samplesPerPrompt", /1024/],
    ["10⁶ layers", { student: { init: { ...init, layers: 1_000_000 } } }, "student.init.layers", /1024/],
    ["2,000 replicas", { roles: { student: { replicas: 2000 } } }, "roles.student.replicas", /1024/],
    ["a path without end", { output: "/a".repeat(5000) }, "output", /4096/],
    ["a hundred teachers", { teachers: Array.from({ length: 100 }, (_, i) => ({ name: `t${i}`, model: "/t" })) }, "teachers", /64/],
    [
      "an infinite learning rate",
      { phases: [{ steps: 1, optimizer: { learningRate: Number.POSITIVE_INFINITY } }] },
      "phases[0].optimizer.learningRate",
      /1000/,
    ],
    [
      "prompts × samples",
      { phases: [{ steps: 1, batchSize: 65_536, samplesPerPrompt: 1024, sampling: { maxNewTokens: 1 } }] },
      "phases[0]",
      /65536 \(batchSize\) × 1024 \(samplesPerPrompt\) = 67108864 sequences.*1048576/,
    ],
    [
      "prompts × samples × tokens",
      { phases: [{ steps: 1, batchSize: 4096, samplesPerPrompt: 16, sampling: { maxNewTokens: 1_048_576 } }] },
      "phases[0]",
      /= 68719476736 tokens, 1024 GiB/,
    ],
    ["the steps of all phases", { phases: [{ steps: 60_000_000 }, { steps: 60_000_000 }] }, "phases", /120000000 steps/],
    [
      "rows × samples × temperatures of an evaluation",
      { evaluation: { path: "/e", limit: 1_000_000, samplesPerPrompt: 8, temperatures: [1] } },
      "evaluation",
      /8000000 sequences/,
    ],
    [
      "the parameters of a model from scratch",
      { student: { init: { ...init, hiddenSize: 65_536, intermediateSize: 262_144, layers: 1000, heads: 512 } } },
      "student.init",
      /makes a model of 6\.87e\+13 parameters, whose training takes \d+ GiB/,
    ],
    [
      "the embeddings of a model from scratch",
      { student: { init: { ...init, hiddenSize: 65_536 } }, vocabSize: 16_777_216 },
      "student.init",
      /makes a model of 1\.13e\+12 parameters/,
    ],
  ])("refuses %s with the figure", (_, fields, fieldPath, description) => {
    expect(checkSpec(specOf(fields))).toContainEqual({ fieldPath, description: expect.stringMatching(description) });
  });
});

describe("parseSpec()", () => {
  it.each([
    ["a password file", "root:x:0:0:hunter2:/root:/bin/bash\n"],
    ["a text", "hunter2\n"],
    ["a value of another kind", "phases: [{ steps: hunter2 }]\n"],
    ["a text where a list is expected", "phases: hunter2\n"],
    ["a text where fields are expected", "student: hunter2\n"],
    ["a word that no enumeration has", "data: { chat: hunter2 }\n"],
  ])("quotes nothing of a foreign file: %s", (_, text) => {
    let message = "";
    try {
      parseSpec(text, "a.yaml");
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^a\.yaml/);
    expect(message).not.toContain("hunter2");
  });
});
