import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bringFollowed, broughtVersion } from "../../../../services/learner/context/followed-versions.js";
import type { RunContext } from "../../../../services/learner/context/run-context.js";
import { filesIn } from "../../../../services/learner/model/files-in.js";
import { DirectoryStore } from "../../../../services/shared/flow/weights/directory-store.js";

describe("the version that a checkpoint brings for teachers that follow the student", () => {
  let root: string;
  let store: DirectoryStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-followed-"));
    store = new DirectoryStore(join(root, "weights"));
    for (const version of [0, 6]) {
      const staged = await store.stage("run", 1n);
      const names = version === 0 ? ["config.json", "model.safetensors"] : ["model.safetensors"];
      for (const name of names) await writeFile(join(staged, name), `${name} of version ${version}`);
      await store.put("run", version, await filesIn(staged, []), 1n);
    }
  });
  afterEach(() => rm(root, { recursive: true }));

  const runOf = (everySteps: number | undefined) => ({
    follow: everySteps === undefined ? undefined : { teachers: ["default"], everySteps },
  });
  const bring = async (everySteps: number | undefined, step: number) => {
    const path = join(root, `step-${step}`);
    const context = { membership: { store, run: runOf(everySteps), runId: "run" } } as unknown as RunContext;
    await mkdir(path);
    await bringFollowed(context, step, join(path, "followed"));
    return { path, step };
  };

  it("is the newest that teachers may have, by its weights alone, and outlives the store's", async () => {
    const checkpoint = await bring(6, 8);
    await store.deleteAll("run");
    const brought = await broughtVersion(runOf(6), checkpoint);
    expect(brought).toMatchObject({ version: 6, files: [{ name: "model.safetensors", digest: expect.stringMatching(/^[0-9a-f]{64}$/) }] });
    expect(await readFile(brought!.files[0]!.path, "utf8")).toBe("model.safetensors of version 6");
  });

  it("is the student as the run began with it, before teachers have another", async () => {
    const checkpoint = await bring(20, 8);
    expect(await broughtVersion(runOf(20), checkpoint)).toMatchObject({ version: 0, files: [{ name: "model.safetensors" }] });
  });

  it("is none where it is the checkpoint's own, or teachers stay as they are, or there is no checkpoint", async () => {
    for (const [everySteps, step] of [
      [6, 12],
      [undefined, 8],
    ] as const) {
      const checkpoint = await bring(everySteps, step);
      expect(await readdir(checkpoint.path)).toEqual([]);
      expect(await broughtVersion(runOf(everySteps), checkpoint)).toBeUndefined();
    }
    expect(await broughtVersion(runOf(6), undefined)).toBeUndefined();
  });

  it("must be there: a checkpoint without it is refused with the way out", async () => {
    await mkdir(join(root, "bare"));
    await expect(broughtVersion(runOf(6), { path: join(root, "bare"), step: 8 })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/bare lacks followed\/, the weights of version 6.*remove the checkpoint/),
    });
  });
});
