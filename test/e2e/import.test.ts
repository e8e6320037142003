import { copyFile, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../services/shared/ml/models/model.js";
import { ggufFixture } from "../support/models/gguf-fixtures.js";
import { retort } from "../support/runs/retort.js";

describe("retort import", () => {
  let directory: string;
  const place = (name: string) => join(directory, name);
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-import-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("makes a directory that retort sample continues a conversation with", async () => {
    const { code, stdout, stderr } = await retort(["import", ggufFixture("qwen2.gguf"), place("qwen2"), "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { params } = await loadModel(place("qwen2"));
    expect(JSON.parse(stdout)).toMatchObject({
      architecture: "qwen2",
      directory: place("qwen2"),
      dtype: "float32",
      tensors: { F32: 16, Q4_K: 1, Q5_K: 1, Q6_K: 1, Q8_0: 20 },
      tokenizer: "byte-level BPE (qwen2)",
      tokens: 319,
      digest: digestOf(params),
      warnings: [],
    });
    const sampled = await retort(["sample", "the cat", "--chat", "--model", place("qwen2"), "--max", "3", "--json"]);
    expect(sampled).toMatchObject({ code: 0 });
    expect(JSON.parse(sampled.stdout)).toEqual([{ prompt: "the cat", completions: [expect.any(String)] }]);
  });

  it("says what it read and wrote", async () => {
    const { stdout } = await retort(["import", ggufFixture("llama-scaled.gguf"), place("scaled")]);
    expect(stdout).toMatch(
      /llama-scaled\.gguf: llama, 20 tensors \(15 F16, 5 F32\), 65\.\d kB\n.*parameters in float16, .*byte-level BPE \(llama-bpe\), 319 tokens/,
    );
  });

  it.each([
    ["no GGUF file", "none.gguf", [], 64, /none\.gguf is no GGUF file/],
    ["a file that is cut off", "cut.gguf", [], 65, /cut\.gguf ends before its tensor/],
    ["no file", "absent.gguf", [], 66, /absent\.gguf cannot be read \(ENOENT\); name a GGUF file/],
    ["a directory with files of others", "whole.gguf", [], 78, /holds what Retort did not make \(notes\.txt\); .*--force/],
    ["an element type that is none", "whole.gguf", ["--dtype", "int8"], 64, /float32, bfloat16, float16/],
  ])("refuses %s", async (_, file, options, code, message) => {
    await writeFile(place("none.gguf"), "not a model");
    await copyFile(ggufFixture("llama.gguf"), place("whole.gguf"));
    await copyFile(ggufFixture("llama.gguf"), place("cut.gguf"));
    await truncate(place("cut.gguf"), 30_000);
    await mkdir(place("taken"), { recursive: true });
    await writeFile(place("taken/notes.txt"), "mine");
    const ended = await retort(["import", place(file), place(code === 78 ? "taken" : "refused"), ...options]);
    expect(ended).toMatchObject({ code, stderr: expect.stringMatching(message) });
    expect(await readdir(place("taken"))).toEqual(["notes.txt"]);
    expect(await readdir(directory)).not.toContain("refused");
  });
});
