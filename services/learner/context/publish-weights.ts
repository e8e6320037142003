import { weightsFileOf } from "../../shared/ml/models/trainable.js";
import { guard } from "./guard.js";
import type { RunContext } from "./run-context.js";
import { withRoom } from "./with-room.js";

/**
 * Stores a policy version and announces it; versions that no task can ask for any more are deleted.
 *
 * @param whole with config and tokenizer, which come with version 0
 */
export async function publishWeights(context: RunContext, version: number, whole: boolean): Promise<void> {
  const { membership, host, fence, announcer, dataDir } = context;
  const { store, run, runId } = membership;
  await guard(context);
  const files = new Map(Object.entries(await host.files(whole)));
  await withRoom(context, `policy version ${version}`, dataDir, async () => {
    if (whole && version > 0) await store.put(runId, 0, files, fence);
    // A student has version 0 already.
    const wanted = version > 0 ? weightsFileOf(files.keys()) : undefined;
    await store.put(runId, version, new Map([...files].filter(([name]) => !wanted || name === wanted)), fence);
  });
  await announcer.announce(version);
  const old = version - run.maxStaleness - 2;
  // Version 0 stays: config and tokenizer come with it. A learner that takes over clears away what the one before left.
  const gone = whole ? (await store.list(runId)).filter((one) => one <= old || one > version) : [old];
  for (const one of gone) if (one > 0) await store.delete(runId, one);
}
