import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { evaluate, type Judges, type Term } from "../../../services/reward/evaluator.js";
import { TextRewards } from "../../../services/reward/text-rewards.js";
import { readsReference, rewardProblems } from "../../../services/shared/flow/runs/rewards.js";
import { type RewardSpec, RewardSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

const reward = (fields: MessageInitShape<typeof RewardSpecSchema>): RewardSpec => create(RewardSpecSchema, fields);
const input = (completion: string, reference = "", completionTokens = 1) => ({ prompt: "p", completion, reference, completionTokens });
const texts = new TextRewards();
const none: Judges = {
  text: async (inputs, spec) => texts.judge(inputs, spec, 0),
  classifier: async () => [],
  external: async () => [],
};
const rewardOf = async (fields: MessageInitShape<typeof RewardSpecSchema>, completion: string, reference = "", tokens = 1) =>
  (await evaluate([input(completion, reference, tokens)], [reward(fields)], none))[0]!.value;

describe("evaluate()", () => {
  it.each<[MessageInitShape<typeof RewardSpecSchema>, string, string, number]>([
    [{ kind: "exact_match" }, " yes ", "yes", 1],
    [{ kind: "exact_match" }, "yes.", "yes", 0],
    [{ kind: "normalized_match" }, "The Answer!", "answer", 1],
    [{ kind: "numeric" }, "so it is 1,234\n#### 1,234", "… #### 1234", 1],
    [{ kind: "numeric" }, "#### 7", "#### 8", 0],
    [{ kind: "regex", pattern: "^\\d+$" }, "123", "", 1],
    [{ kind: "regex", pattern: "^\\d+$" }, "12a", "", 0],
    [{ kind: "rouge1" }, "the cat", "the dog", 0.5],
    [{ kind: "rouge2" }, "a b c", "a b d", 0.5],
    [{ kind: "rouge_l" }, "a x b", "a b", 0.8],
    [{ kind: "bleu" }, "a b c d", "a b c d", 1],
    [{ kind: "bleu_characters" }, "abcd", "abcd", 1],
  ])("gives %p for %p against %p: %p", async (fields, completion, reference, expected) => {
    expect(await rewardOf(fields, completion, reference)).toBeCloseTo(expected, 10);
  });

  it("takes from what is longer than the target, in proportion", async () => {
    const values = await Promise.all([5, 10, 15, 20, 40].map((tokens) => rewardOf({ kind: "length", targetTokens: 10 }, "x", "", tokens)));
    expect(values).toEqual([1, 1, 0.5, 0, 0]);
  });

  it("adds rewards up by their weights", async () => {
    const specs = [reward({ kind: "exact_match" }), reward({ kind: "regex", pattern: "a", weight: -0.5 })];
    expect(await evaluate([input("a", "a"), input("a", "b")], specs, none)).toEqual([
      { value: 0.5, components: { exact_match: 1, regex: 1 } },
      { value: -0.5, components: { exact_match: 0, regex: 1 } },
    ]);
  });

  it("keeps terms of one kind apart", async () => {
    const specs = ["a", "b", "c"].map((pattern) => reward({ kind: "regex", pattern }));
    expect(await evaluate([input("ac")], specs, none)).toEqual([{ value: 2, components: { regex: 1, "regex 2": 0, "regex 3": 1 } }]);
  });

  it("names the reward that failed or is not finite, for the completion it is about, and rewards the others", async () => {
    const answers: Term[] = [1, Number.NaN, Number.POSITIVE_INFINITY, { failure: "no such language" }];
    const specs = [reward({ kind: "external", address: "judge:1" })];
    const found = await evaluate(
      answers.map(() => input("x")),
      specs,
      { ...none, external: async () => answers },
    );
    expect(found.map(({ value, failure }) => failure ?? value)).toEqual([
      1,
      "reward external at judge:1 gave NaN; a reward must be finite",
      "reward external at judge:1 gave Infinity; a reward must be finite",
      "reward external at judge:1 failed: no such language",
    ]);
  });
});

describe("rewardProblems()", () => {
  it.each<[MessageInitShape<typeof RewardSpecSchema>, string, RegExp]>([
    [{ kind: "regex", pattern: "(" }, "rewards[0].pattern", /no regular expression/],
    [{ kind: "regex" }, "rewards[0].pattern", /is empty/],
    [{ kind: "length" }, "rewards[0].targetTokens", /is missing/],
    [{ kind: "external" }, "rewards[0].address", /is "".*host:port/],
    [{ kind: "external", address: "judge" }, "rewards[0].address", /is "judge"/],
    [{ kind: "external", address: "http://judge:80" }, "rewards[0].address", /is "http:\/\/judge:80"/],
    [{ kind: "exact_match", weight: Number.NaN }, "rewards[0].weight", /is NaN/],
    [{ kind: "classifier" }, "rewards[0].model", /is missing/],
    [{ kind: "classifier", model: "m", template: "{{ completion" }, "rewards[0].template", /no Jinja/],
    [
      { kind: "classifier", model: "m", template: "{{ completion | nosuch }}" },
      "rewards[0].template",
      /is no Jinja: .*No filter named 'nosuch'/,
    ],
    [{ kind: "classifier", model: "m", template: "{{ answer }}" }, "rewards[0].template", /names "answer".*prompt, completion, reference/],
    [{ kind: "classifier", model: "m", template: "{{ prompt }}" }, "rewards[0].template", /the same reward/],
    [{ kind: "classifier", model: "m", pairTemplate: "{{ x }}" }, "rewards[0].pairTemplate", /names "x"/],
  ])("finds what is wrong with %p", (fields, fieldPath, description) => {
    expect(rewardProblems([reward(fields)])).toEqual([{ fieldPath, description: expect.stringMatching(description) }]);
  });

  it("finds nothing wrong with rewards that are whole", () => {
    const specs = [
      { kind: "regex", pattern: "a" },
      { kind: "length", targetTokens: 3 },
      { kind: "external", address: "[::1]:80", weight: -1 },
      { kind: "external", address: "https://judge.example:443" },
      { kind: "classifier", model: "m" },
      { kind: "classifier", model: "m", template: "{{ prompt }}", pairTemplate: "{{ completion | trim }}" },
    ];
    expect(rewardProblems(specs.map(reward))).toEqual([]);
  });
});

describe("readsReference()", () => {
  it.each<[MessageInitShape<typeof RewardSpecSchema>, boolean]>([
    [{ kind: "rouge_l" }, true],
    [{ kind: "regex", pattern: "a" }, false],
    [{ kind: "classifier", model: "m" }, false],
    [{ kind: "classifier", model: "m", template: "{{ completion }}", pairTemplate: "{{ reference }}" }, true],
  ])("of %p is %p", (fields, expected) => {
    expect(readsReference(reward(fields))).toBe(expected);
  });
});
