import { taskCapacity } from "../../../../services/shared/codec/task-capacity.js";
import { runOf } from "../../../support/runs/run-spec.js";

describe("taskCapacity()", () => {
  const size = { vocabSize: 1000, hiddenSize: 0, maxTokens: 100, teacherPromptTokens: 0, replyTokens: 0, maxPayloadBytes: 8 * 2 ** 20 };
  const capacity = (objective: object, samplesPerPrompt = 1, more = {}) =>
    taskCapacity(runOf([{ steps: 1, samplesPerPrompt, objective }]).phases[0]!, { ...size, ...more });

  it("lets as many prompts into a task as its largest record has room for", () => {
    const room = 0.9 * size.maxPayloadBytes;
    expect(capacity({ signal: "full" })).toBe(Math.floor(room / (100 * 4004)));
    expect(capacity({ signal: "full" }, 4)).toBe(Math.floor(room / (400 * 4004)));
    expect(capacity({ signal: "top_k", topK: 8 })).toBe(Math.floor(room / (100 * 72)));
    // Of 4 k bytes of log-probabilities, less than the rollout's 16 + 4 k with the classes.
    expect(capacity({ signal: "student_top_k", topK: 8 })).toBe(Math.floor(room / (100 * 48)));
    expect(capacity({ signal: "random_k", topK: 8, divergence: "forward_kl" })).toBe(Math.floor(room / (100 * 56)));
    expect(capacity({ signal: "hidden", hiddenDtype: "float16" }, 1, { hiddenSize: 64 })).toBe(Math.floor(room / (100 * 128)));
    expect(capacity({ signal: "hidden", hiddenDtype: "float32" }, 1, { hiddenSize: 64 })).toBe(Math.floor(room / (100 * 256)));
    // A teacher's own prompt is in the rollout, once per sample.
    expect(capacity({ signal: "top_k", topK: 8 }, 2, { teacherPromptTokens: 5000 })).toBe(Math.floor(room / (2 * (100 * 16 + 20_000))));
    expect(capacity({ signal: "top_k", topK: 8 }, 2, { replyTokens: 500 })).toBe(Math.floor(room / (2 * (100 * 16 + 6000))));
    // In its own tokens, of which there may be more, it sends the length of each besides.
    expect(capacity({ signal: "top_k", topK: 8 }, 1, { ownTokens: true })).toBe(Math.floor(room / (100 * 2 * 74)));
    expect(capacity({ signal: "sampled", divergence: "opd" }, 1, { ownTokens: true })).toBe(Math.floor(room / (100 * 8 * 6)));
    // Without scores the rollout is the largest.
    expect(capacity({ divergence: "cross_entropy" })).toBe(Math.floor(room / (100 * 16)));
  });

  it("says what to do when not even one prompt fits", () => {
    expect(() => capacity({ signal: "full" }, 1, { vocabSize: 150_000 })).toThrow(/max_payload of 8388608.*signal: top_k/);
  });
});
