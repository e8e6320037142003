import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { TextJudges } from "../../../services/reward/text-judges.js";
import { type RewardSpec, RewardSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

const reward = (fields: MessageInitShape<typeof RewardSpecSchema>): RewardSpec => create(RewardSpecSchema, fields);
const input = (completion: string, reference = "") => ({ prompt: "p", completion, reference, completionTokens: 1 });

/** A pattern that takes time exponential in the completion's length where it is not found. */
const hostile = reward({ kind: "regex", pattern: "(a+)+$" });
const endless = `${"a".repeat(60)}b`;

describe("TextJudges", () => {
  let judges: TextJudges;
  beforeAll(() => {
    judges = new TextJudges();
  });
  afterAll(() => judges.stop());

  it("records a failure where a pattern does not end, gives the others theirs, and judges for others meanwhile", async () => {
    const order: string[] = [];
    const slow = judges.judge([input("aaa"), input(endless), input("b"), input(endless), input("a")], hostile);
    const quick = judges.judge([input("x", "x")], reward({ kind: "exact_match" }));
    await Promise.all([slow.then(() => order.push("slow")), quick.then(() => order.push("quick"))]);
    expect(order).toEqual(["quick", "slow"]);
    expect(await slow).toEqual([1, { failure: "regex took longer than 1 s" }, 0, { failure: "regex took longer than 1 s" }, 1]);
  });

  it("becomes impatient with a pattern that never ends, and still gives the others theirs", async () => {
    const inputs = Array.from({ length: 30 }, (_, i) => input(i % 2 ? "a" : endless));
    const terms = await judges.judge(inputs, hostile);
    expect(terms.filter((term) => term === 1)).toHaveLength(15);
    expect(terms.at(-2)).toEqual({ failure: "regex took longer than 0.1 s" });
  });

  it("measures texts of 60,000 words", async () => {
    const words = (step: number) => Array.from({ length: 60_000 }, (_, i) => `w${(i * step) % 1009}`).join(" ");
    const [term] = await judges.judge([input(words(7), words(11))], reward({ kind: "rouge_l" }));
    expect(term).toBeGreaterThan(0);
    expect(term).toBeLessThan(0.5);
  });

  it("judges batches of 5,000 completions", async () => {
    const inputs = Array.from({ length: 5000 }, (_, i) => input(`${i}`, `${i % 2 ? i : ""}`));
    const terms = await judges.judge(inputs, reward({ kind: "exact_match" }));
    expect(terms.map(Number)).toEqual(inputs.map((_, i) => i % 2));
  });

  it.each([
    ["that never end", "{{ completion }}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"],
    [
      "that double a text without end",
      "{{ completion }}{% set n = namespace(t='aa') %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    ],
    [
      "that need all memory",
      "{% set n = namespace(t=[1]) %}{% for i in range(9999) %}{% set n.t = [n.t, n.t ~ ''] %}{% endfor %}{{ completion }}",
    ],
  ])("refuses templates %s for the completion, within seconds", async (_, template) => {
    const found = await judges.render([input("a")], reward({ kind: "classifier", model: "m", template }));
    expect(found).toEqual([{ failure: expect.stringMatching(/MemoryError|took longer than|RecursionError|took more than/) }]);
  });

  it("refuses a pattern with groups that no engine compiles in time", async () => {
    const pattern = "(".repeat(2000) + ")".repeat(2000);
    expect(await judges.problems([reward({ kind: "regex", pattern })])).toEqual([
      { fieldPath: "rewards[0].pattern", description: expect.stringMatching(/more than 100 groups/) },
    ]);
  });

  it("ends at once when it is stopped, whatever is under way", async () => {
    const stopped = new TextJudges();
    const judged = stopped.judge(
      Array.from({ length: 50 }, () => input(endless)),
      hostile,
    );
    const outcome = expect(judged).rejects.toMatchObject({ code: "Cancelled" });
    await stopped.judge([input("x")], reward({ kind: "exact_match" }));
    const started = performance.now();
    await stopped.stop();
    await outcome;
    // The fifty take ten seconds and more.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
