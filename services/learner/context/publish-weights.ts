import { rm } from "node:fs/promises";
import { RetortError } from "../../shared/base/errors.js";
import { isOfAverage } from "../../shared/flow/runs/follow.js";
import type { VersionFile } from "../../shared/flow/weights/store.js";
import { weightsFilesOf } from "../../shared/ml/models/checkpoint/open.js";
import { keepHead } from "../model/teacher-heads.js";
import { goneAmong, goneWith } from "./gone-versions.js";
import { guard } from "./guard.js";
import type { RunContext } from "./run-context.js";
import { withRoom } from "./with-room.js";

/** A version whose weights have been written; the trainer may change them. */
export interface Publishing {
  /** Settles when the students have been told of it. */
  readonly announced: Promise<void>;
  /** Settles when the versions before it that no one can ask for any more are deleted, too. */
  readonly done: Promise<void>;
}

/** A version that teachers follow, as a checkpoint brings it. */
export interface BroughtVersion {
  readonly version: number;
  /** Of its weights. */
  readonly files: readonly VersionFile[];
}

/**
 * Writes a policy version, and begins to store and to announce it; versions that no task can ask for any more are deleted behind
 * that. One version at a time: the one before must be done.
 *
 * @param whole with config and tokenizer, which come with version 0
 * @param brought an earlier version that teachers still have: it is stored, too
 */
export async function publishWeights(context: RunContext, version: number, whole: boolean, brought?: BroughtVersion): Promise<Publishing> {
  const { membership, host, fence, dataDir } = context;
  const { store, runId } = membership;
  await guard(context);
  const what = `policy version ${version}`;
  const { directory, files } = await withRoom(context, what, dataDir, async () => {
    const staged = await store.stage(runId, fence);
    // Teachers that follow say by its digest which version they were.
    const hashed = whole || membership.run.follow !== undefined || (await store.needsDigests(runId));
    const files = await host.writeVersion(staged, whole, { hashed });
    await keepHead(host, membership.run, version);
    return { directory: staged, files };
  }).catch(async (error: unknown) => {
    // A later learner clears away what this one was writing.
    await guard(context);
    throw error;
  });
  const stored = withRoom(context, what, dataDir, () => storeVersion(context, version, whole, files, brought)).catch((thrown: unknown) => {
    const error = RetortError.from(thrown);
    const { code, retry, message } = error;
    // It may be heard of steps later.
    throw new RetortError(code, `${what} could not be stored: ${message}`, { retry, cause: error });
  });
  const announced = stored.then(() => context.announcer.announce(version));
  const done = announced.then(() => clearAway(context, version, whole, directory));
  // Who waits for them hears of what went wrong, whenever that is.
  for (const promise of [announced, done]) promise.catch(() => {});
  return { announced, done };
}

async function storeVersion(
  { membership, fence }: RunContext,
  version: number,
  whole: boolean,
  files: readonly VersionFile[],
  brought: BroughtVersion | undefined,
) {
  const { store, runId } = membership;
  if (whole && version > 0) await store.put(runId, 0, brought?.version === 0 ? withWeights(files, brought.files) : files, fence);
  if (brought && brought.version > 0) await store.put(runId, brought.version, brought.files, fence);
  // A student has version 0 already.
  const weights = weightsFilesOf(files.map(({ name }) => name));
  const wanted = version > 0 ? files.filter(({ name }) => weights.includes(name) || isOfAverage(name)) : files;
  await store.put(runId, version, wanted, fence);
}

/** A version's files with the weights of another one. */
function withWeights(files: readonly VersionFile[], weights: readonly VersionFile[]): VersionFile[] {
  const own = weightsFilesOf(files.map(({ name }) => name));
  return [...files.filter(({ name }) => !own.includes(name)), ...weights];
}

async function clearAway({ membership: { store, run, runId } }: RunContext, version: number, whole: boolean, staged: string) {
  await rm(staged, { recursive: true, force: true });
  const gone = whole ? goneAmong(run, version, await store.list(runId)) : goneWith(run, version);
  for (const one of gone) await store.delete(runId, one);
}
