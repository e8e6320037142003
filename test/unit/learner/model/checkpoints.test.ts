import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoints, followedFolder } from "../../../../services/learner/model/checkpoints.js";
import type { TrainHost } from "../../../../services/learner/model/train-host.js";
import type { WorkerClient } from "../../../../services/shared/base/workers.js";

describe("Checkpoints", () => {
  let root: string;
  /** What `save` does besides writing; a test makes it fail. */
  let meanwhile: (path: string) => Promise<void>;
  const host = {
    save: async (path: string) => {
      await writeFile(join(path, "model.safetensors"), "weights");
      await meanwhile(path);
      return { digest: "digest", files: [] };
    },
  } as unknown as WorkerClient<TrainHost>;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-checkpoints-"));
    meanwhile = async () => {};
  });
  afterEach(() => rm(root, { recursive: true }));

  it("finds the newest, by number and not by name, also in a later life", async () => {
    const checkpoints = new Checkpoints(root, 3);
    expect(await checkpoints.newest()).toEqual({ found: undefined, refused: [] });
    for (const step of [9, 100, 20]) await checkpoints.save(host, step);
    expect((await new Checkpoints(root, 3).newest()).found).toMatchObject({ step: 100, path: join(root, "step-00000100") });
  });

  it("keeps as many as it is told", async () => {
    const checkpoints = new Checkpoints(root, 2);
    for (const step of [1, 2, 3, 4]) await checkpoints.save(host, step);
    expect((await readdir(root)).sort()).toEqual(["step-00000003", "step-00000004"]);
  });

  it("passes over one that was not finished, and writes it anew", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await checkpoints.save(host, 1);
    meanwhile = () => Promise.reject(new Error("the disk is full"));
    await expect(checkpoints.save(host, 2)).rejects.toThrow("the disk is full");
    expect(await checkpoints.newest()).toMatchObject({
      found: { step: 1 },
      refused: [{ path: join(root, "step-00000002"), reason: expect.stringMatching(/incomplete/) }],
    });
    meanwhile = async () => {};
    await checkpoints.save(host, 2);
    expect(await checkpoints.newest()).toMatchObject({ found: { step: 2 }, refused: [] });
  });

  it("compares what was brought for teachers that follow the student, too", async () => {
    const checkpoints = new Checkpoints(root, 2);
    const bring = async (directory: string) => {
      await mkdir(directory);
      await writeFile(join(directory, "model.safetensors"), "the teacher's weights");
    };
    for (const step of [1, 2]) await checkpoints.save(host, step, bring);
    expect((await checkpoints.newest()).found).toMatchObject({ step: 2 });
    await writeFile(join(root, "step-00000002", followedFolder, "model.safetensors"), "other weights");
    const { found, refused } = await checkpoints.newest();
    expect(found).toMatchObject({ step: 1 });
    expect(refused).toMatchObject([{ reason: expect.stringMatching(/^followed\/model\.safetensors is not what was written/) }]);
  });

  it("leaves nothing of an unfinished one in the one that takes its place", async () => {
    const left = join(root, "step-00000005", "model.safetensors.123.0a1b2c3d.tmp");
    await mkdir(join(left, ".."));
    await writeFile(left, "half of them");
    await new Checkpoints(root, 2).save(host, 5);
    expect((await readdir(join(root, "step-00000005"))).sort()).toEqual(["model.safetensors", "state.json"]);
  });

  it("makes a checkpoint incomplete before it changes it", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await checkpoints.save(host, 5);
    let during: unknown = "not asked";
    meanwhile = async () => {
      during = (await new Checkpoints(root, 2).newest()).found;
    };
    await checkpoints.save(host, 5);
    expect(during).toBeUndefined();
  });

  it("does not mind other things in its directory", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await mkdir(join(root, "lost+found"));
    await writeFile(join(root, "notes.txt"), "by hand");
    await checkpoints.save(host, 7);
    expect((await checkpoints.newest()).found).toMatchObject({ step: 7 });
    const files = { "model.safetensors": createHash("sha256").update("weights").digest("hex") };
    expect(JSON.parse(await readFile(join(root, "step-00000007", "state.json"), "utf8"))).toEqual({ step: 7, digest: "digest", files });
    expect(await readdir(root)).toEqual(expect.arrayContaining(["lost+found", "notes.txt"]));
  });

  it.each<[string, (path: string) => Promise<void>, RegExp]>([
    ["has a flipped bit", (path) => writeFile(join(path, "model.safetensors"), "wfights"), /model\.safetensors is not what was written/],
    ["is cut short", (path) => truncate(join(path, "model.safetensors"), 3), /model\.safetensors is not what was written/],
    ["has lost a file", (path) => rm(join(path, "model.safetensors")), /model\.safetensors cannot be read \(ENOENT\)/],
    ["has half a state", (path) => truncate(join(path, "state.json"), 9), /incomplete/],
    ["says nothing of its files", (path) => writeFile(join(path, "state.json"), '{"step":20,"digest":"d"}'), /lists no files/],
  ])("takes the one before a newer one that %s, and says why", async (_, harm, reason) => {
    const checkpoints = new Checkpoints(root, 3);
    for (const step of [10, 20]) await checkpoints.save(host, step);
    const path = join(root, "step-00000020");
    await harm(path);
    const { found, refused } = await checkpoints.newest();
    expect(found).toMatchObject({ step: 10 });
    expect(refused).toEqual([{ path, reason: expect.stringMatching(reason) }]);
  });

  it("clears away what was left unfinished when the next one is whole", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await mkdir(join(root, "step-00000003"));
    await checkpoints.save(host, 4);
    expect(await readdir(root)).toEqual(["step-00000004"]);
  });
});
