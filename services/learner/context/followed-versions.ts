import { open } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { newestFollowed } from "../../shared/flow/runs/follow.js";
import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import { weightsFilesOf } from "../../shared/ml/models/checkpoint/open.js";
import { followedFolder } from "../model/checkpoints.js";
import { filesIn } from "../model/files-in.js";
import type { BroughtVersion } from "./publish-weights.js";
import type { RunContext } from "./run-context.js";

/** The version that teachers have behind a checkpoint of a step, where its own weights are another. */
function olderThan({ follow }: Pick<ResolvedRun, "follow">, step: number): number | undefined {
  const version = follow && newestFollowed(follow, step);
  return version === step ? undefined : version;
}

/** Puts the weights of the version that teachers have behind a step into a directory of its checkpoint, unless they are the checkpoint's own. */
export async function bringFollowed({ membership }: RunContext, step: number, directory: string): Promise<void> {
  const { store, run, runId } = membership;
  const version = olderThan(run, step);
  if (version === undefined) return;
  const stored = await store.manifest(runId, version);
  const wanted = weightsFilesOf(stored?.files.map(({ name }) => name) ?? []);
  const { files } = await store.fetch(runId, version, directory, (name) => wanted.includes(name));
  for (const { name } of files) if (wanted.includes(name)) await sync(join(directory, name));
}

/** Has a file's bytes on the disk, as the rest of a checkpoint is: a store doesn't see to that. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

/**
 * The version that {@link bringFollowed} put into a checkpoint.
 *
 * @throws FailedPrecondition if it isn't there
 */
export async function broughtVersion(
  run: Pick<ResolvedRun, "follow">,
  checkpoint: { readonly path: string; readonly step: number } | undefined,
): Promise<(BroughtVersion & { readonly directory: string }) | undefined> {
  const version = checkpoint && olderThan(run, checkpoint.step);
  if (!checkpoint || version === undefined) return undefined;
  const directory = join(checkpoint.path, followedFolder);
  const files = await filesIn(directory, []).catch(() => []);
  if (files.length === 0)
    throw new RetortError(
      "FailedPrecondition",
      `the checkpoint ${checkpoint.path} lacks ${followedFolder}/, the weights of version ${version}, which the teacher has there; remove the checkpoint, so that the run goes on from another`,
    );
  return { version, files, directory };
}
