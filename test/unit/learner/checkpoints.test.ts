import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoints } from "../../../services/learner/checkpoints.js";
import type { TrainHost } from "../../../services/learner/train-host.js";
import type { WorkerClient } from "../../../services/shared/base/workers.js";

describe("Checkpoints", () => {
  let root: string;
  /** What `save` does besides writing; a test makes it fail. */
  let meanwhile: (path: string) => Promise<void>;
  const host = {
    save: async (path: string) => {
      await writeFile(join(path, "model.safetensors"), "weights");
      await meanwhile(path);
      return "digest";
    },
  } as unknown as WorkerClient<TrainHost>;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-checkpoints-"));
    meanwhile = async () => {};
  });
  afterEach(() => rm(root, { recursive: true }));

  it("finds the newest, by number and not by name, also in a later life", async () => {
    const checkpoints = new Checkpoints(root, 3);
    expect(await checkpoints.newest()).toBeUndefined();
    for (const step of [9, 100, 20]) await checkpoints.save(host, step);
    expect(await new Checkpoints(root, 3).newest()).toMatchObject({ step: 100, path: join(root, "step-00000100") });
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
    expect(await checkpoints.newest()).toMatchObject({ step: 1 });
    meanwhile = async () => {};
    await checkpoints.save(host, 2);
    expect(await checkpoints.newest()).toMatchObject({ step: 2 });
  });

  it("makes a checkpoint incomplete before it changes it", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await checkpoints.save(host, 5);
    let during: unknown = "not asked";
    meanwhile = async () => {
      during = await new Checkpoints(root, 2).newest();
    };
    await checkpoints.save(host, 5);
    expect(during).toBeUndefined();
  });

  it("does not mind other things in its directory", async () => {
    const checkpoints = new Checkpoints(root, 2);
    await mkdir(join(root, "lost+found"));
    await writeFile(join(root, "notes.txt"), "by hand");
    await checkpoints.save(host, 7);
    expect(await checkpoints.newest()).toMatchObject({ step: 7 });
    expect(JSON.parse(await readFile(join(root, "step-00000007", "state.json"), "utf8"))).toEqual({ step: 7, digest: "digest" });
  });
});
