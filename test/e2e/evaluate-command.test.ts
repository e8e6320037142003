import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expectClear, retort } from "../support/runs/retort.js";

const examples = resolve("deploy/examples/num2words");
const model = join(examples, "models/student");
const teacher = join(examples, "models/teacher");
const data = join(examples, "data/held-out.jsonl");

describe("retort eval", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-eval-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("measures a model greedily, on samples, against a teacher and by rewards", async () => {
    const { stdout, code } = await retort([
      "--json",
      ...["eval", "--model", model, "--teacher", teacher, "--data", data, "--limit", "16", "--max", "32"],
      ...["--samples", "4", "--temperature", "1,0.3", "--pass-at", "1,4", "--self-bleu-unit", "character"],
      ...["--reward", "exact_match", "--reward", "{ kind: regex, pattern: '^[a-z ]*$', weight: 2 }"],
    ]);
    expect(code).toBe(0);
    const { temperatures, ...first } = JSON.parse(stdout);
    expect(temperatures.map(({ temperature }: { temperature: number }) => temperature)).toEqual([1, 0.3]);
    for (const { quality, reward, passAt } of temperatures) {
      // Every completion is of letters and spaces: 2 for the pattern, and 1 where it is right.
      expect(reward).toBeCloseTo(2 + quality, 10);
      expect(passAt[0]).toEqual({ k: 1, value: expect.closeTo(quality, 10) });
      expect(passAt[1].value).toBeGreaterThanOrEqual(quality);
    }
    expect(temperatures[1].selfBleu).toBeGreaterThan(temperatures[0].selfBleu);
    expect(first).toMatchObject({ metric: "exact_match", rows: 16, sampled: temperatures[0].quality });
    expect(first.greedyReward).toBeCloseTo(2 + first.greedy, 10);
    // Over all 400 held-out numbers they are 0.370 and 0.463 (README.md).
    expect(Math.abs(first.forwardKl - 0.37)).toBeLessThan(0.2);
    expect(Math.abs(first.reverseKl - 0.463)).toBeLessThan(0.2);
  });

  it("finds no divergence of a model from itself", async () => {
    const { stdout } = await retort([
      "--json",
      "eval",
      "--model",
      teacher,
      "--teacher",
      teacher,
      "--data",
      data,
      "--limit",
      "8",
      "--max",
      "32",
    ]);
    const { forwardKl, reverseKl, teacherNll } = JSON.parse(stdout);
    expect(Math.abs(forwardKl)).toBeLessThan(1e-6);
    expect(Math.abs(reverseKl)).toBeLessThan(1e-6);
    expect(teacherNll).toBeGreaterThan(0);
  });

  it.each<[string, readonly string[], RegExp]>([
    ["a k beyond the samples", ["--pass-at", "8", "--samples", "4"], /passAt[\s\S]*is 8[\s\S]*samplesPerPrompt is 4/],
    ["a metric that there is not", ["--metric", "beauty"], /beauty.*exact_match/],
    ["a temperature of 0", ["--temperature", "1,0"], /--temperature.*'1,0'/],
    ["a reward that is none", ["--reward", "{ knid: regex }"], /--reward.*knid/],
    ["a reward of no kind that there is", ["--reward", "beauty"], /beauty/],
  ])("names %s", async (_, argv, message) => {
    expectClear(await retort(["eval", "--model", model, "--data", data, "--limit", "2", ...argv]), message);
  });

  it("names a metric that needs references, and a column that is not there", async () => {
    const bare = join(directory, "bare.jsonl");
    await writeFile(bare, '{"prompt": "1=", "answer": "one"}\n');
    expectClear(
      await retort(["eval", "--model", model, "--data", bare, "--metric", "numeric"]),
      /--metric numeric.*"reference".*--reference/s,
    );
    expectClear(await retort(["eval", "--model", model, "--data", bare, "--prompt", "question"]), /"question".*it has: prompt, answer/s);
  });
});
