import { access, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { defaultColumns as columns, columnsIn, readDataset } from "../../../../../services/shared/flow/prompts/dataset.js";
import { numericAnswer } from "../../../../../services/shared/ml/text/metrics/answers.js";

const sums = { ...columns, prompt: "question", completion: "answer", reference: "result", teacher: "judge" };
const fixture = (name: string): string => resolve("test/golden/fixtures/data", name);
const gsm8k = resolve("../shared/data/gsm8k/test.jsonl");

describe("readDataset()", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-data-"));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text);
    return join(directory, name);
  };

  it.each(["snappy", "gzip", "zstd", "none"])(
    "reads Parquet that pyarrow compressed with %s, by the names of its columns",
    async (codec) => {
      const rows = await readDataset(fixture(`columns-${codec}.parquet`), sums);
      expect(rows).toHaveLength(10);
      expect(rows[7]).toMatchObject({ number: 8, prompt: "7 + 7 =", completion: "twice 7\n#### 14", reference: "14", teacher: "math" });
      expect(rows[8]).toMatchObject({ prompt: "8 + 8 =", completion: "twice 8\n#### 16", reference: "16", teacher: undefined });
    },
  );

  it("reads conversations, whose last message by the assistant is the completion", async () => {
    const rows = await readDataset(fixture("messages.parquet"), columns);
    expect(rows[2]).toMatchObject({
      prompt: [{ role: "user", content: "say 2" }],
      completion: [{ role: "assistant", content: "2!" }],
      reference: "2!",
      teacher: undefined,
    });
    expect(rows[3]).toMatchObject({ prompt: [{ role: "system" }, { role: "user", content: "é 東" }], completion: undefined });
  });

  it("reads the files of a directory in order of name, and only as many rows as are asked for", async () => {
    await mkdir(join(directory, "rows"));
    await copyFile(fixture("columns-snappy.parquet"), join(directory, "rows/b.parquet"));
    await file("rows/a.jsonl", '{"question": "first", "judge": "x"}\r\n\n{"question": "second"}');
    await file("rows/README.md", "no data");
    const prompts = async (limit?: number) => (await readDataset(join(directory, "rows"), sums, limit)).map(({ prompt }) => prompt);
    expect(await prompts()).toEqual(["first", "second", ...Array.from({ length: 10 }, (_, n) => `${n} + ${n} =`)]);
    expect(await prompts(1)).toEqual(["first"]);
    expect(await prompts(8)).toEqual(["first", "second", ...Array.from({ length: 6 }, (_, n) => `${n} + ${n} =`)]);
    expect(await columnsIn(join(directory, "rows"))).toEqual(["question", "judge"]);
  });

  it("does not read what lies behind the limit", async () => {
    const path = await file("rows.jsonl", '{"prompt": "a"}\nno JSON\n');
    expect(await readDataset(path, columns, 1)).toHaveLength(1);
    await expect(readDataset(path, columns)).rejects.toThrow(/rows\.jsonl line 2 is not JSON/);
  });

  it("takes the completion for the reference where there is none", async () => {
    const path = await file("rows.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "b", "reference": 3}');
    expect((await readDataset(path, columns)).map(({ reference }) => reference)).toEqual(["b", "3"]);
  });

  it.each<[string, string, RegExp]>([
    [
      "a prompt that is not there",
      '{"text": "a", "label": 1}',
      /line 1 has no column "prompt" \(nor "messages"\); it has: text, label\. Name the column with data\.promptField/,
    ],
    ["a prompt that is no text", '{"prompt": {"a": 1}}', /line 1: column "prompt" is an object/],
    ["messages that are none", '{"messages": "hello"}', /column "messages" is text; a list of \{role, content\}/],
    ["an empty conversation", '{"messages": []}', /column "messages" is empty/],
    [
      "a message without a role",
      '{"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}',
      /message 2 of column "messages" has no role/,
    ],
    ["a conversation that only answers", '{"messages": [{"role": "assistant", "content": "a"}]}', /nothing before the assistant/],
    ["a list of numbers", "[1, 2]", /row 1 is no JSON object/],
    ["nothing", "\n\n", /rows\.jsonl has no rows/],
  ])("names %s", async (_, text, message) => {
    await expect(readDataset(await file("rows.jsonl", text), columns)).rejects.toThrow(message);
  });

  it("names a file that is no Parquet, a directory without data, and a path that is not there", async () => {
    await expect(readDataset(await file("rows.parquet", "no Parquet"), columns)).rejects.toThrow(/rows\.parquet cannot be read as Parquet/);
    await mkdir(join(directory, "empty"));
    await expect(readDataset(join(directory, "empty"), columns)).rejects.toThrow(/has no \.jsonl, \.json or \.parquet /);
    await expect(readDataset(join(directory, "nowhere"), columns)).rejects.toThrow(/nowhere cannot be read/);
  });

  it("reads GSM8K, whose answers all have a number", async () => {
    if (
      !(await access(gsm8k).then(
        () => true,
        () => false,
      ))
    ) {
      console.log(`not tested: GSM8K as published; put its test.jsonl at ${gsm8k} (github.com/openai/grade-school-math)`);
      return;
    }
    const rows = await readDataset(gsm8k, { ...columns, prompt: "question", completion: "answer" });
    expect(rows).toHaveLength((await readFile(gsm8k, "utf8")).trim().split("\n").length);
    for (const { prompt, reference } of rows) {
      expect((prompt as string).length).toBeGreaterThan(10);
      expect(numericAnswer(reference!)).toBe(Number(/#### (.*)$/.exec(reference!)![1]!.replaceAll(",", "")));
    }
  });
});
