import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ggufFixture } from "../support/models/gguf-fixtures.js";
import { reportIn } from "../support/runs/report-in.js";
import { retort } from "../support/runs/retort.js";

/** The demo on real weights, with a small model in their place; `npm run test:smollm2` has the real ones. */
describe("retort demo smollm2", () => {
  let directory: string;
  const place = (name: string) => join(directory, name);
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-walk-"));
    expect(await retort(["import", ggufFixture("qwen2.gguf"), place("teacher")])).toMatchObject({ code: 0 });
    const questions = Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ question: `the cat ${i}` })}\n`);
    await writeFile(place("questions.jsonl"), questions.join(""));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const demo = (...more: string[]) =>
    retort([
      ...["demo", "smollm2", "--teacher", place("teacher"), "--prompts", place("questions.jsonl"), "--column", "question", "--json"],
      ...["--data-dir", place("data"), "--report", place("report.html"), ...more],
    ]);

  it("cuts a student, distils it by LoRA and in full, compares, and writes a report", async () => {
    const { code, stdout, stderr } = await demo("--steps", "2");
    expect({ code, stderr: code ? stderr : "" }).toEqual({ code: 0, stderr: "" });
    const models = JSON.parse(stdout) as { name: string; data: string; directory: string; forwardKl: number; steps?: unknown[] }[];
    expect(models.map(({ name, data, steps }) => [name, data, steps?.length])).toEqual([
      ["teacher", "3 layers", undefined],
      ["start", "2 of them", undefined],
      ["LoRA", "the start and an adapter", 2],
      ["in full", "every weight trained", 2],
    ]);
    expect(models[0]!.forwardKl).toBe(0);
    for (const { forwardKl } of models.slice(1)) expect(forwardKl).toBeGreaterThan(0);
    expect(await readdir(models[2]!.directory)).toContain("adapter_model.safetensors");
    expect(await readdir(models[3]!.directory)).toContain("model.safetensors");
    expect(stderr).toMatch(/student: .*2 of its 3 layers \(0, 2\), \d+ parameters[\s\S]*to the first held-out prompt, greedily:/);
    const { summary, runs } = await reportIn(place("report.html"));
    expect(summary?.paragraphs.join()).toContain("2 of its 3 layers");
    expect(summary?.models.flatMap(({ evaluation }) => evaluation.examples.map(({ prompt }) => prompt))).toContainEqual(
      expect.stringContaining("the cat 8"),
    );
    expect(runs.map(({ run }) => run.runId)).toEqual(summary?.models.flatMap(({ runId }) => runId ?? []));
  }, 480_000);

  it("refuses prompts that are too few, and a column that is not there, before it trains", async () => {
    await writeFile(place("few.jsonl"), '{"question": "the cat"}\n');
    const few = await demo("--prompts", place("few.jsonl"));
    expect(few).toMatchObject({ code: 64, stderr: expect.stringMatching(/few\.jsonl has 1 prompts of at most 96 tokens.*32 are needed/) });
    const absent = await demo("--column", "prompt");
    expect(absent).toMatchObject({ code: 64, stderr: expect.stringMatching(/questions\.jsonl.*"prompt"/) });
  });
});
