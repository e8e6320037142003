import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ownDirectory } from "../../../../../services/shared/base/own-directory.js";
import { outputProblems } from "../../../../../services/shared/flow/runs/output.js";
import { RunSpecSchema } from "../../../../../services/shared/gen/retort/v1/run_spec_pb.js";

describe("outputProblems()", () => {
  let root: string;
  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), "retort-output-")));
    for (const directory of ["models/student", "models/teacher", "models/judge", "data/tokenizer"])
      await mkdir(join(root, directory), { recursive: true });
    for (const file of ["models/student/model.safetensors", "data/train.jsonl", "held-out.jsonl"]) await writeFile(join(root, file), "x");
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const at = (path: string) => join(root, path);
  const problems = (output: string, more: Record<string, unknown> = {}) =>
    outputProblems(
      create(RunSpecSchema, {
        student: { model: at("models/student") },
        teachers: [{ model: at("models/teacher") }],
        rewards: [{ kind: "classifier", model: at("models/judge") }],
        data: { path: at("data/train.jsonl") },
        evaluation: { path: at("held-out.jsonl") },
        output: output && at(output),
        ...more,
      } as MessageInitShape<typeof RunSpecSchema>),
    );

  it.each(["", "new", "models/trained", "models/student-2", "far/below/what/is/not/there"])(
    "takes %j, and leaves nothing of it",
    async (output) => {
      const before = await readdir(root, { recursive: true });
      expect(await problems(output)).toEqual([]);
      expect(await readdir(root, { recursive: true })).toEqual(before);
    },
  );

  it.each([
    ["models/student", /student is student\.model/],
    ["models/student/", /student is student\.model/],
    ["models/./x/../student", /student is student\.model/],
    ["models/teacher", /is teachers\[0\]\.model/],
    ["models/judge", /is rewards\[0\]\.model/],
    ["models/teacher/deep/er", /lies in teachers\[0\]\.model/],
    ["models", /models holds student\.model/],
    ["data", /data holds data\.path/],
    ["data/train.jsonl", /is data\.path/],
    ["data/train.jsonl/below", /lies in data\.path/],
    ["", undefined],
    [".", /holds student\.model/],
    ["link", /link is student\.model/],
    ["link/below", /lies in student\.model/],
    ["theirs", /theirs holds what Retort did not make \(thesis\); name another directory/],
    ["file", /file is a file/],
    ["file/below", /below a file/],
    ["dangling", /leads nowhere/],
    ["long".repeat(100), /ENAMETOOLONG/],
    [`parent/${"long".repeat(100)}/x`, /ENAMETOOLONG/],
    ["nul\0", /out of reach/],
  ])("says of %j what is wrong", async (output, message) => {
    await symlink(at("models/student"), at("link"));
    await symlink(at("nowhere"), at("dangling"));
    await mkdir(at("theirs"));
    await writeFile(at("theirs/thesis"), "x");
    await writeFile(at("file"), "x");
    const before = await readdir(root, { recursive: true });
    const found = await problems(output);
    expect(found).toEqual(message ? [{ fieldPath: "output", description: expect.stringMatching(message) }] : []);
    expect(await readdir(root, { recursive: true })).toEqual(before);
  });

  it("sees a tokenizer, too, and inputs that are not there are for others to say", async () => {
    const student = { init: { tokenizer: at("data/tokenizer") } };
    expect(await problems("data/tokenizer", { student })).toMatchObject([
      { description: expect.stringContaining("student.init.tokenizer") },
    ]);
    expect(await problems("new", { student: { model: at("absent") } })).toEqual([]);
  });

  it("takes an output of an earlier run, and not what was exported", async () => {
    await ownDirectory(at("trained"), "output");
    await writeFile(at("trained/model.safetensors"), "x");
    expect(await problems("trained")).toEqual([]);
    await ownDirectory(at("exported"), "export");
    await writeFile(at("exported/model.safetensors"), "x");
    expect(await problems("exported")).toMatchObject([{ description: expect.stringContaining("export") }]);
  });

  it("says where a file system can't be written to", async () => {
    if (process.platform !== "linux") return;
    expect(await problems("", { output: "/proc/retort" })).toMatchObject([{ description: expect.stringMatching(/cannot be written to/) }]);
  });

  it("lets many look at the same place at once", async () => {
    for (let round = 0; round < 20; round++)
      expect(await Promise.all(Array.from({ length: 8 }, () => problems("a/b")))).toEqual(Array.from({ length: 8 }, () => []));
    expect(await readdir(root)).not.toContain("a");
  });
});
