/**
 * A learner's writes, on and on, until it is killed: `node writes-on.js ROOT LIFE`. From the newest checkpoint it trains steps, and
 * stores and saves each as a run does; it prints "writes" when it begins with a step's files, and the step when all are there.
 */
import { join } from "node:path";
import { Checkpoints } from "../../../services/learner/model/checkpoints.js";
import { TrainHost } from "../../../services/learner/model/train-host.js";
import type { WorkerClient } from "../../../services/shared/base/workers.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";
import { openOptions } from "./open-options.js";

const [root = "", life = ""] = process.argv.slice(2);
const host = new TrainHost();
const checkpoints = new Checkpoints(join(root, "checkpoints"), 2);
const store = new DirectoryStore(join(root, "weights"));
const { found } = await checkpoints.newest();
await host.open({ directory: join(root, "student") }, openOptions, { checkpoint: found?.path });
const sequence = { promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8, 9) };
for (let step = (found?.step ?? 0) + 1; ; step++) {
  await host.step([sequence], 1e-3);
  process.stdout.write("writes\n");
  const staged = await store.stage("run", BigInt(life));
  await store.put("run", step, await host.writeVersion(staged, false, { shardBytes: 4000 }), BigInt(life));
  // In a thread of its own it answers in the same way.
  await checkpoints.save(host as unknown as WorkerClient<TrainHost>, step);
  // Also those that a kill has left.
  for (const version of await store.list("run")) if (version <= step - 2) await store.delete("run", version);
  process.stdout.write(`${step}\n`);
}
