import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  checkDeletable,
  clearDirectory,
  directoryProblem,
  isSame,
  markerName,
  ownDirectory,
  readMarker,
} from "../../../../services/shared/base/own-directory.js";
import { checkOwnFile } from "../../../../services/shared/base/own-file.js";

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "retort-own-")));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const write = async (path: string, text = "mine") => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};

describe("ownDirectory()", () => {
  it("makes and marks one that is absent or empty, and takes it again", async () => {
    const path = join(root, "a/b");
    expect(await ownDirectory(path, "data")).toBe(path);
    expect(await readMarker(path)).toMatchObject({ kind: "data", version: 1, created: expect.stringMatching(/Z$/) });
    await write("a/b/runs/x");
    expect(await ownDirectory(path, "data")).toBe(path);
  });

  it("refuses one with files of others, and says which and the way out; its files stay", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await write(`theirs/${name}`);
    await expect(ownDirectory(join(root, "theirs"), "demo")).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/theirs holds what Retort did not make \(a, b, c and 2 more\).*another directory.*--force/),
    });
    expect(await readdir(join(root, "theirs"))).toHaveLength(5);
  });

  it.each([
    ["a file", "file", /is a file/],
    ["a place below a file", "file/below", /below a file/],
    ["a link that leads nowhere", "dangling", /leads nowhere/],
    ["a link to a directory of others", "link", /holds what Retort did not make \(thesis\)/],
    ["one with a hidden file", "hidden", /\.git/],
    ["a marker that is no file of ours", "forged", /\.retort-directory|thesis/],
    ["one that was made for another purpose", "other", /was made for another purpose \(export\)/],
  ])("refuses %s", async (_, name, message) => {
    await write("file");
    await write("theirs/thesis");
    await write("hidden/.git");
    await write("forged/thesis");
    await mkdir(join(root, "forged", markerName));
    await ownDirectory(join(root, "other"), "export");
    await write("other/model.safetensors");
    await symlink(join(root, "nowhere"), join(root, "dangling"));
    await symlink(join(root, "theirs"), join(root, "link"));
    await expect(ownDirectory(join(root, name), "output")).rejects.toThrow(message);
    await expect(readFile(join(root, "nowhere"))).rejects.toThrow("ENOENT");
  });

  it("takes one whose marking was cut short by a kill", async () => {
    await write(`cut/${markerName}.123.0a1b2c3d.tmp`, "");
    expect(await ownDirectory(join(root, "cut"), "checkpoint")).toBe(join(root, "cut"));
    expect(await readMarker(join(root, "cut"))).toMatchObject({ kind: "checkpoint" });
  });

  it("does not count directories of ours as files of others", async () => {
    await ownDirectory(join(root, "r/demo"), "demo");
    await ownDirectory(join(root, "r"), "data");
    expect((await readMarker(join(root, "r")))?.adopted).toBeUndefined();
  });

  it("takes one of another kind, or from before there were markers, where that is said", async () => {
    await ownDirectory(join(root, "demo"), "demo");
    await write("demo/x");
    expect(await directoryProblem(join(root, "demo"), "data", { also: ["demo"] })).toBeUndefined();
    await write("old/nats/x");
    await write("old/pid");
    expect(await directoryProblem(join(root, "old"), "data", { unmarked: ["nats", "pid"] })).toBeUndefined();
    expect(await directoryProblem(join(root, "old"), "data", { unmarked: ["nats", "runs"] })).toMatch(/did not make/);
  });

  it("takes one of others' by force, and never deletes in it", async () => {
    await write("theirs/runs/thesis");
    const path = await ownDirectory(join(root, "theirs"), "demo", { force: true });
    await clearDirectory(path, "demo", ["runs"]);
    expect(await readFile(join(path, "runs/thesis"), "utf8")).toBe("mine");
    // Not even the next time, which needs the force again.
    await expect(ownDirectory(path, "demo")).rejects.toThrow(/did not make \(runs\)/);
    await ownDirectory(path, "demo", { force: true });
    await clearDirectory(path, "demo", ["runs"]);
    expect(await readFile(join(path, "runs/thesis"), "utf8")).toBe("mine");
  });
});

describe("makeDirectory()", () => {
  it("ends where the system says of an existing directory that it does not exist", async () => {
    if (process.platform !== "linux") return;
    await expect(ownDirectory("/proc/retort/x", "output")).rejects.toThrow(/\/proc\/retort\/x cannot be made \(E\w+\)/);
  });
});

describe("clearDirectory()", () => {
  it("deletes what is named, and nothing that came into the directory beside it", async () => {
    const path = await ownDirectory(join(root, "demo"), "demo");
    await write("demo/runs/x");
    await write("demo/notes.txt");
    await clearDirectory(path, "demo", ["runs", "nats"]);
    expect((await readdir(path)).sort()).toEqual([markerName, "notes.txt"]);
  });

  it("deletes nothing in an unmarked one, nor in one of another kind", async () => {
    await write("theirs/runs/x");
    await clearDirectory(join(root, "theirs"), "demo", ["runs"]);
    await ownDirectory(join(root, "data"), "data");
    await write("data/runs/x");
    await clearDirectory(join(root, "data"), "demo", ["runs"]);
    expect(await readdir(join(root, "theirs"))).toEqual(["runs"]);
    expect(await readdir(join(root, "data"))).toContain("runs");
  });

  it.each(["/", homedir(), dirname(process.cwd()), dirname(dirname(process.cwd()))])("refuses %s", (path) => {
    expect(() => checkDeletable(path)).toThrow(/nothing is deleted/);
  });
});

describe("isSame()", () => {
  it("sees through links, and not through likeness of names", async () => {
    await mkdir(join(root, "model"));
    await mkdir(join(root, "model-2"));
    await symlink(join(root, "model"), join(root, "link"));
    expect(await isSame(join(root, "model"), join(root, "link"))).toBe(true);
    expect(await isSame(join(root, "model"), join(root, "model-2"))).toBe(false);
    expect(await isSame(join(root, "absent"), join(root, "absent"))).toBe(false);
  });
});

describe("checkOwnFile()", () => {
  const options = { option: "--report", isOurs: (head: string) => head.startsWith("ours") };

  it("takes one that is absent, empty or ours, and makes its directory", async () => {
    await write("ours", "ours, written before");
    await write("empty", "");
    for (const name of ["new/report", "ours", "empty"]) await checkOwnFile(join(root, name), options);
    expect(await readdir(join(root, "new"))).toEqual([]);
    await checkOwnFile("/dev/null", options);
  });

  it.each([
    ["theirs", /--report .*theirs holds what Retort did not write.*--force/],
    ["directory", /is a directory/],
    ["theirs/below", /cannot be written \(ENOTDIR\)/],
  ])("refuses %s", async (name, message) => {
    await write("theirs", "a thesis");
    await mkdir(join(root, "directory"));
    await expect(checkOwnFile(join(root, name), options)).rejects.toThrow(message);
    expect(await readFile(join(root, "theirs"), "utf8")).toBe("a thesis");
  });

  it("takes others' by force", async () => {
    await write("theirs", "a thesis");
    await checkOwnFile(join(root, "theirs"), { ...options, force: true });
  });
});
