import { RetortError } from "../../../../services/shared/base/errors.js";
import { parseYaml } from "../../../../services/shared/base/yaml.js";

const refusal = (text: string): RetortError => {
  try {
    parseYaml(text, "run.yaml");
  } catch (error) {
    if (error instanceof RetortError) return error;
    throw error;
  }
  throw new Error("it was read");
};

const letters = "abcdefghij";

/** Each line nine times the one before: 9^9 values. */
const laughs = ["a: &a [x, x, x, x, x, x, x, x, x]"]
  .concat([...letters.slice(1)].map((letter, i) => `${letter}: &${letter} [${`*${letters[i]}, `.repeat(9)}]`))
  .join("\n");

describe("parseYaml()", () => {
  it("reads maps, lists, texts over several lines, and aliases", () => {
    const text = 'a: &x {b: [1, "two", null]}\nc: *x\nd: |\n  one\n  two\n- not: yet\n'.replace("- not: yet\n", "");
    expect(parseYaml(text, "f")).toEqual({ a: { b: [1, "two", null] }, c: { b: [1, "two", null] }, d: "one\ntwo\n" });
    expect(parseYaml("a:\n- - - 1\n- b:\n    c: 2\n", "f")).toEqual({ a: [[[1]], { b: { c: 2 } }] });
    expect(parseYaml("", "f")).toBeNull();
  });

  it("is not stopped by brackets within texts", () => {
    expect(parseYaml(`a: "${"[{".repeat(500)}"\n`, "f")).toEqual({ a: "[{".repeat(500) });
  });

  it.each([
    ["billion laughs", laughs, /aliases that stand for too much/],
    ["one large text by many aliases", `a: &a "${"x".repeat(1e6)}"\nb: [${"*a, ".repeat(500)}]`, /aliases that stand for too much/],
    ["a list that holds itself", "&a [*a]", /aliases that stand for too much/],
    ["thousands of aliases", `- &a x\n${"- *a\n".repeat(5000)}`, /more than 1000 aliases/],
    ["deep lists on one line", "[".repeat(100_000), /within each other/],
    ["deep maps on one line", "{a: ".repeat(1000) + "}".repeat(1000), /within each other/],
    ["deep maps by indentation", Array.from({ length: 500 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), /within each other/],
    ["deep lists by dashes", "- ".repeat(5000), /within each other/],
    ["a million values", "- a\n".repeat(500_000), /values and marks/],
    ["a huge text", `a: ${"x".repeat(5e6)}`, /4194304 bytes/],
    ["a key that is there twice", "a: 1\nb: 2\na: 3\n", /same key twice.*line 3, column 1/],
    ["two documents", "a: 1\n---\nb: 2\n", /multiple docs at line 2/],
  ])("refuses %s within a second or so", (_, text, expected) => {
    const started = performance.now();
    expect(refusal(text)).toMatchObject({ code: "InvalidArgument", message: expect.stringMatching(expected) });
    // Without the limits these take minutes, or end the process.
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it.each([
    "a:\n\t- hunter2\n",
    "a: *hunter2\n",
    'a: "hunter2\\q"\n',
    "hunter2: [\n",
    "a: b: hunter2\n",
    "{hunter2",
    "@hunter2",
    "%hunter2\n",
  ])("names file, line and column of a fault, never what stands there: %j", (text) => {
    const { message } = refusal(text);
    expect(message).toMatch(/^run\.yaml /);
    expect(message).not.toContain("hunter2");
  });
});
