import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { choicesFor, type Way } from "../../../../services/cli/specs/choices.js";
import { type ColumnOptions, foundColumns } from "../../../../services/cli/specs/found-columns.js";
import { namesFor } from "../../../../services/cli/specs/names.js";
import { specText } from "../../../../services/cli/specs/spec-text.js";
import { type SurveyOptions, surveyOf } from "../../../../services/cli/specs/survey.js";
import { parseSpec } from "../../../../services/shared/flow/runs/spec.js";
import { warningsOfRun } from "../../../support/runs/check-run.js";

const example = resolve("deploy/examples/num2words");
const student = join(example, "models/student");
const teacher = join(example, "models/teacher");

describe("retort init", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-init-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const written = async (...rows: object[]): Promise<string> => {
    const path = join(directory, "rows.jsonl");
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return path;
  };

  it.each<[string[], ColumnOptions, object]>([
    [["prompt", "completion"], {}, {}],
    [["question", "answer"], {}, { promptField: "question", completionField: "answer" }],
    [["problem", "solution", "level"], {}, { promptField: "problem", completionField: "solution" }],
    [["messages", "prompt", "answer"], {}, {}],
    [["conversation"], {}, { messagesField: "conversation" }],
    [
      ["q", "a", "gold"],
      { prompt: "q", completion: "a", reference: "gold" },
      { promptField: "q", completionField: "a", referenceField: "gold" },
    ],
    [["messages", "text"], { prompt: "text" }, { promptField: "text" }],
    [["instruction", "output", "id"], {}, { promptField: "instruction", completionField: "output" }],
  ])("finds prompts and completions in the columns %j, named %j", async (names, named, columns) => {
    const path = await written(Object.fromEntries(names.map((name) => [name, "text"])));
    expect(await foundColumns(path, named)).toEqual(columns);
  });

  it.each<[string[], ColumnOptions, RegExp]>([
    [["a", "b"], {}, /has the columns a, b: name the one with the prompts, as --prompt a$/],
    [["a", "b"], { prompt: "c" }, /^--prompt is c, and .* has the columns a, b$/],
    [["instruction", "input", "output"], {}, /write instruction and input into one/],
  ])("leaves none of the columns %j out without a word", async (names, named, message) => {
    const path = await written(Object.fromEntries(names.map((name) => [name, "text"])));
    await expect(foundColumns(path, named)).rejects.toThrow(message);
  });

  const specFor = async (asked: Partial<SurveyOptions>, way: Way = "weights", references: ReadonlyMap<string, string> = new Map()) => {
    const survey = await surveyOf({ student, teacher, data: join(example, "data/train.jsonl"), ...asked });
    const out = join(directory, "My first run.yaml");
    const text = specText(survey, choicesFor(survey, way), namesFor(out, references));
    return { survey, text, spec: parseSpec(text, out) };
  };

  it.each<[string, Partial<SurveyOptions>, Way]>([
    ["distillation", {}, "weights"],
    ["with rows to measure with", { heldOut: join(example, "data/held-out.jsonl") }, "weights"],
    ["of an adapter", {}, "adapter"],
    ["of an adapter, in little memory", {}, "checkpointed adapter"],
    ["fine-tuning", { teacher: undefined as never }, "weights"],
  ])("writes a spec that nothing is wrong with or unusual about: %s", async (_, asked, way) => {
    const { spec } = await specFor(asked, way);
    expect(await warningsOfRun(spec)).toEqual([]);
    expect(spec.name).toBe("my-first-run");
    expect(Boolean(spec.student?.lora)).toBe(way !== "weights");
    expect(spec.phases[0]?.optimizer?.gradientCheckpointing).toBe(way === "checkpointed adapter");
  });

  it("reads lengths with the student's own tokenizer, of a thousand rows at most, and says what it saw", async () => {
    const { survey, text } = await specFor({ data: join(example, "data/all.jsonl") });
    // Characters and the end token: "three hundred seventy three" is among the longest.
    expect(survey.data).toMatchObject({ rows: 1000, isWhole: true, prompts: { longest: 4 }, completions: { longest: 28 } });
    expect(text).toContain("# 1000 rows: prompts have 4 tokens at the median, 4 at most, completions ");
    expect(text).toContain("# llama, 3,264 parameters in float32, texts of 64 tokens.");
  });

  it("names files and columns as YAML reads them, whatever they are called", async () => {
    const path = join(directory, "yes: #1 'rows'.jsonl");
    await writeFile(path, `${JSON.stringify({ "a: b": "1=", 'no "one"': "one" })}\n`.repeat(50));
    const { spec } = await specFor({ data: path, prompt: "a: b", completion: 'no "one"' });
    expect(spec.data).toMatchObject({ path, promptField: "a: b", completionField: 'no "one"' });
    expect(await warningsOfRun(spec)).toEqual([]);
  });

  it("names what is elsewhere as it was named, so that the spec runs on another machine; but run://last by its place", async () => {
    const data = join(example, "data/train.jsonl");
    const references = new Map([
      [student, "hf://someone/a-student@main"],
      [teacher, "run://last"],
      [data, "s3://bucket/rows/train.jsonl"],
    ]);
    const { spec, text } = await specFor({ data }, "weights", references);
    expect(spec.student?.model).toBe("hf://someone/a-student@main");
    expect(spec.teachers[0]?.model).toBe(teacher);
    expect(spec.data?.path).toBe("s3://bucket/rows/train.jsonl");
    expect(text).toContain("# On-policy distillation of a-student by last:");
    const names = namesFor(join(directory, "run.yaml"), new Map([["/cache/ab12", "run://my-run/best"]]));
    expect([names.at("/cache/ab12"), names.of("/cache/ab12")]).toEqual(["run://my-run/best", "my-run"]);
  });
});
