import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classesOf, readLabelledTexts } from "../../../../services/cli/models/labelled-texts.js";

const named = (...labels: string[]) => labels.map((label) => ({ text: "t", label }));

describe("classesOf()", () => {
  it("orders numbers by size and names by letters", () => {
    expect(classesOf(named("10", "-1", "0.5", "2"), undefined)).toEqual(["-1", "0.5", "2", "10"]);
    expect(classesOf(named("neutral", "Contradiction", "entailment"), undefined)).toEqual(["Contradiction", "entailment", "neutral"]);
  });

  it("takes the order that is given", () => {
    expect(classesOf(named("a", "b"), ["c", "b", "a"])).toEqual(["c", "b", "a"]);
  });
});

describe("readLabelledTexts()", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-labelled-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  const read = async (rows: readonly unknown[], template?: string, label = "label") => {
    const path = join(directory, "rows.jsonl");
    await writeFile(path, rows.map((row) => JSON.stringify(row)).join("\n"));
    return readLabelledTexts(path, { label, template });
  };

  it("reads texts, pairs, and whatever a template names", async () => {
    expect(await read([{ text: "one", label: 1 }])).toEqual([{ text: "one", label: "1" }]);
    expect(await read([{ premise: "a ", hypothesis: "b", label: true }])).toEqual([{ text: "a b", label: "true" }]);
    expect(await read([{ q: "a", a: "b", good: "no" }], "{{ q }}: {{ a }}", "good")).toEqual([{ text: "a: b", label: "no" }]);
  });

  it("reads Parquet, whose whole numbers are bigints", async () => {
    const texts = await readLabelledTexts("test/golden/fixtures/data/columns-snappy.parquet", {
      label: "result",
      template: "{{ question }}",
    });
    expect(texts.length).toBeGreaterThan(1);
    for (const { text, label } of texts) expect([typeof text, /^\d+$/.test(label)]).toEqual(["string", true]);
  });
});
