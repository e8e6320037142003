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

/** When it is killed: at these parts of the time that the writes of a step take. */
const parts = [0.45, 0.6, 0.3, 0.75, 0.15, 0.9];

describe("a learner that is killed between two writes", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-killed-"));
    await saveModel(join(root, "student"), smallModel());
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  /** Lets a learner write two steps, kills it in the third's writes, and gives the last that it told of. */
  async function killedAt(part: number, life: number): Promise<number> {
    const child = spawn(process.execPath, [resolve("dist/test/support/learner/writes-on.js"), root, String(life)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    let [steps, last, beganMs, tookMs] = [0, 0, 0, 0];
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === "writes") beganMs = performance.now();
      else [last, tookMs] = [Number(line), performance.now() - beganMs];
      if (line === "writes" && ++steps === 3) void sleep(part * tookMs).then(() => child.kill("SIGKILL"));
    }
    expect(await ended).toEqual([null, "SIGKILL"]);
    return last;
  }

  it("leaves its newest checkpoint and version whole, from which the next one goes on", async () => {
    const store = new DirectoryStore(join(root, "weights"));
    const fetched = join(root, "fetched");
    let before = 0;
    let torn = 0;
    // On a busy machine a kill may come late: at least one must have come in the middle of a checkpoint.
    for (let life = 0; life < parts.length || (torn === 0 && life < 5 * parts.length); life++) {
      const told = await killedAt(parts[life % parts.length]!, life + 1);
      expect(told).toBeGreaterThanOrEqual(before + 2);
      const { found, refused } = await new Checkpoints(join(root, "checkpoints"), 2).newest();
      expect([told, told + 1]).toContain(found?.step);
      torn += refused.length;
      for (const { reason } of refused) expect(reason).toMatch(/^it is incomplete/);
      const host = new TrainHost();
      await host.open({ directory: join(root, "student") }, openOptions, { checkpoint: found?.path });
      const versions = await store.list("run");
      expect(versions.at(-1)).toBeGreaterThanOrEqual(told);
      for (const version of versions) await store.fetch("run", version, join(fetched, `${life}-${version}`));
      // No more than the versions that are kept, and the one that was being written.
      expect(versions.length).toBeLessThanOrEqual(4);
      before = found!.step;
    }
    expect(torn).toBeGreaterThan(0);
    expect((await readdir(join(root, "checkpoints"))).length).toBeLessThanOrEqual(3);
  }, 300_000);
});
