import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import type { JsonValue } from "@bufbuild/protobuf";
import { defaultColumns as columns, type Row, readDataset } from "../../services/shared/flow/prompts/dataset.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { fuzz, outcomeOf, secret } from "../support/fuzz/cases.js";
import type { Random } from "../support/fuzz/random.js";
import { mutatedJson } from "../support/fuzz/structures.js";

const rows: JsonValue[] = [
  { prompt: "1 + 1 =", completion: "2", reference: "2", teacher: "a" },
  {
    messages: [
      { role: "user", content: "hi" },
      { role: "assistant", content: null, tool_calls: [{ id: 1.0 }] },
    ],
    tools: [{ type: "function" }],
  },
  { prompt: [{ role: "user", content: [{ type: "text", text: "é👩" }] }], completion: "x", chat_template_kwargs: { thinking: false } },
  { prompt: secret, note: [1e300, -0, "\ud800", { a: {} }] as unknown as JsonValue },
];
const packed = ["columns-gzip", "columns-none", "columns-snappy", "columns-zstd", "exact", "messages"];

/** The text of a dataset in lines or as one list, some rows changed. */
function changedLines(random: Random): Buffer {
  const made = rows.map((row) => (random.chance(0.3) ? mutatedJson(random, row) : row));
  const text = random.chance(0.7) ? made.map((row) => JSON.stringify(row)).join(random.pick(["\n", "\r\n", "\n\n"])) : JSON.stringify(made);
  const bytes = Buffer.from(text, random.chance(0.05) ? "utf16le" : "utf8");
  return random.chance(0.5) ? mutatedBytes(random, bytes) : bytes;
}

/** What every row must be, whatever the file was. */
function expectRows(read: readonly Row[]): void {
  const isMessages = (value: unknown) =>
    Array.isArray(value) && value.every((message) => typeof (message as { role?: unknown } | null)?.role === "string");
  for (const [i, { prompt, completion, reference, teacher, number }] of read.entries()) {
    if (typeof prompt !== "string" && !isMessages(prompt)) throw new Error(`row ${i} has the prompt ${JSON.stringify(prompt)}`);
    if (completion !== undefined && typeof completion !== "string" && !isMessages(completion))
      throw new Error(`row ${i} has no such completion`);
    for (const text of [reference, teacher])
      if (text !== undefined && typeof text !== "string") throw new Error(`row ${i} has no such text`);
    if (number !== i + 1) throw new Error(`row ${i} is called ${number}`);
  }
}

describe("a dataset that may be anything", () => {
  let directory: string;
  let parquet: Buffer[];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
    parquet = await Promise.all(packed.map((name) => readFile(resolve(`test/golden/fixtures/data/${name}.parquet`))));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const read = async (name: string, bytes: Buffer): Promise<boolean> => {
    const path = join(directory, name);
    await writeFile(path, bytes);
    const outcome = await outcomeOf(() => readDataset(path, columns));
    if ("refusal" in outcome) return false;
    expectRows(outcome.value);
    return true;
  };

  it("of JSON, packed or not, is refused by the line, or read", async () => {
    let accepted = 0;
    await fuzz("rows of JSON", 900, async (random) => {
      const lines = changedLines(random);
      const kind = random.int(4);
      const done =
        kind < 2
          ? await read(random.pick(["x.jsonl", "x.json"]), lines)
          : await read("x.jsonl.gz", kind === 2 ? gzipSync(lines) : mutatedBytes(random, gzipSync(lines)));
      if (done) accepted++;
    });
    if (process.env.RETORT_FUZZ_ONLY === undefined) expect(accepted).toBeGreaterThan(0);
  });

  it("of Parquet is refused by the file, or read", () =>
    fuzz("rows of Parquet", 500, async (random) => {
      const bytes = random.pick(parquet);
      // The footer says where everything is: change it as often as the pages.
      const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      const changed = random.chance(0.5)
        ? Buffer.concat([bytes.subarray(0, footer), mutatedBytes(random, bytes.subarray(footer))])
        : mutatedBytes(random, bytes);
      await read("x.parquet", changed);
    }));
});
