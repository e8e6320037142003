import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BestKeeper } from "../../../../services/learner/model/best-keeper.js";
import type { TrainHost } from "../../../../services/learner/model/train-host.js";
import type { WorkerClient } from "../../../../services/shared/base/workers.js";

/** A host that saves a file in place of weights. */
const host = {
  save: async (path: string) => {
    await writeFile(join(path, "model.safetensors"), "weights");
    return { digest: "digest", files: [] };
  },
} as unknown as WorkerClient<TrainHost>;

describe("BestKeeper", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-best-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  it("keeps the version with the highest figure, and only that", async () => {
    const keeper = new BestKeeper(root, "greedy");
    expect(await keeper.consider(host, 0, 0.2)).toMatchObject({ step: 0, value: 0.2, metric: "greedy", digest: "digest" });
    expect(await keeper.consider(host, 10, 0.5)).toMatchObject({ step: 10, path: join(root, "step-00000010") });
    expect(await keeper.consider(host, 20, 0.4)).toBeUndefined();
    expect(await keeper.consider(host, 30, 0.5)).toBeUndefined();
    expect(await readdir(root)).toEqual(["step-00000010"]);
  });

  it("takes the lowest where less is better", async () => {
    const keeper = new BestKeeper(root, "teacher_nll");
    await keeper.consider(host, 0, 0.5);
    expect(await keeper.consider(host, 1, 0.6)).toBeUndefined();
    expect(await keeper.consider(host, 2, 0.4)).toMatchObject({ step: 2 });
  });

  it("measures against what an earlier life of the run kept", async () => {
    await new BestKeeper(root, "greedy").consider(host, 10, 0.5);
    const next = new BestKeeper(root, "greedy");
    expect(await next.consider(host, 11, 0.4)).toBeUndefined();
    expect(await next.consider(host, 12, 0.6)).toMatchObject({ step: 12 });
  });

  it("does not take a half-written checkpoint for the best, nor a figure that could not be measured", async () => {
    await mkdir(join(root, "step-00000009"));
    const keeper = new BestKeeper(root, "greedy");
    expect(await keeper.consider(host, 10, Number.NaN)).toBeUndefined();
    expect(await keeper.consider(host, 11, 0)).toMatchObject({ step: 11 });
  });
});
