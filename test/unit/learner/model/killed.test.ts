import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Checkpoints } from "../../../../services/learner/model/checkpoints.js";
import { TrainHost } from "../../../../services/learner/model/train-host.js";
import { DirectoryStore } from "../../../../services/shared/flow/weights/directory-store.js";
import { saveModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { openOptions } from "../../../support/learner/open-options.js";
import { smallModel } from "../../../support/models/small-model.js";

/** Milliseconds from a step's end to the kill: between all the writes of the next ones. */
const delays = [0, 2, 4, 6, 9, 13, 18, 24, 31, 45];

describe("a learner that is killed between two writes", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-killed-"));
    await saveModel(join(root, "student"), smallModel());
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  /** Lets a learner write at least two steps, kills it, and gives the last that it told of. */
  async function killedAfter(delayMs: number, life: number): Promise<number> {
    const child = spawn(process.execPath, [resolve("dist/test/support/learner/writes-on.js"), root, String(life)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    let [steps, last] = [0, 0];
    for await (const line of createInterface({ input: child.stdout })) {
      last = Number(line);
      if (++steps !== 2) continue;
      void sleep(delayMs).then(() => child.kill("SIGKILL"));
    }
    expect(await ended).toEqual([null, "SIGKILL"]);
    return last;
  }

  it("leaves its newest checkpoint and version whole, from which the next one goes on", async () => {
    const store = new DirectoryStore(join(root, "weights"));
    const fetched = join(root, "fetched");
    let before = 0;
    for (const [life, delay] of delays.entries()) {
      const told = await killedAfter(delay, life + 1);
      expect(told).toBeGreaterThanOrEqual(before + 2);
      const { found, refused } = await new Checkpoints(join(root, "checkpoints"), 2).newest();
      expect([told, told + 1]).toContain(found?.step);
      for (const { reason } of refused) expect(reason).toMatch(/^it is incomplete/);
      const host = new TrainHost();
      await host.open({ directory: join(root, "student") }, openOptions, found?.path);
      const versions = await store.list("run");
      expect(versions.at(-1)).toBeGreaterThanOrEqual(told);
      for (const version of versions) await store.fetch("run", version, join(fetched, `${life}-${version}`));
      // No more than the versions that are kept, and the one that was being written.
      expect(versions.length).toBeLessThanOrEqual(4);
      before = found!.step;
    }
    expect((await readdir(join(root, "checkpoints"))).length).toBeLessThanOrEqual(3);
  }, 180_000);
});
