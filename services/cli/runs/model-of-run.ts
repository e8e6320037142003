import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../../shared/base/cache-directory.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import type { RemoteFile } from "../../shared/base/remote/download.js";
import { type OnProgress, SnapshotCache, type SnapshotFile } from "../../shared/base/remote/snapshot-cache.js";
import { parseRunReference, type RunReference } from "../../shared/flow/runs/run-reference.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import type { WeightsManifest } from "../../shared/gen/retort/v1/flow_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerClient } from "../local.js";
import { type ControllerOptions, withController } from "./controller.js";
import { findRun } from "./find-run.js";

/** Which weights of which run. */
export interface RunWeights {
  readonly runId: string;
  readonly version?: number | undefined;
  readonly best?: boolean | undefined;
}

/** Which files come, and who hears of it. */
export interface WeightsOptions {
  readonly wanted?: (name: string) => boolean;
  readonly onProgress?: OnProgress;
}

/** How often weights may be replaced while they are fetched. */
const maxReads = 5;

/**
 * The directory of a run's model, of `run://RUN[/best|/STEP]`: where the run wrote it if that is on this machine, else fetched from the
 * controller into a cache.
 *
 * @throws NotFound if there is no such run or it doesn't keep that version; FailedPrecondition if no controller is known
 */
export function modelOfRun(text: string, options: ControllerOptions, weights: WeightsOptions): Promise<string> {
  const reference = parseRunReference(text);
  return withController(options, async (controller, { dataDir }) => {
    const runId = await findRun(controller, reference.run);
    const here = dataDir === undefined ? undefined : await ownDirectoryOf(await controller.getRun({ runId }), reference);
    if (here) return here;
    const cache = new SnapshotCache(join(cacheDirectory(), "runs"), "set XDG_CACHE_HOME to another disk");
    const { which } = reference;
    const asked = { runId, best: which === "best", version: typeof which === "number" ? which : undefined };
    return (await fetchWeights(controller, asked, cache, weights)).directory;
  });
}

/** Where a run that is over keeps its model on this machine. */
async function ownDirectoryOf({ run }: { readonly run?: Run | undefined }, { which }: RunReference): Promise<string | undefined> {
  const { state, output, best } = found(run, "the run of the controller's answer");
  const path = which === "best" ? best?.path : which === "newest" ? output : undefined;
  // What a run that is going keeps is replaced as it goes on.
  if (!path || !isOver(state)) return undefined;
  const names: readonly string[] = await readdir(path).catch(() => []);
  return ["config.json", "adapter_config.json"].some((name) => names.includes(name)) ? path : undefined;
}

/** Fetches a run's weights into a cache; goes on where a connection broke. Returns where they lie, and which version they are. */
export async function fetchWeights(
  controller: ControllerClient,
  asked: RunWeights,
  cache: SnapshotCache,
  { wanted = () => true, onProgress }: WeightsOptions = {},
): Promise<{ directory: string; version: number }> {
  for (let reads = 1; ; reads++)
    try {
      const manifest = await manifestOf(controller, asked);
      const files = manifest.files
        .filter(({ name }) => wanted(name))
        .map(({ name, sizeBytes, digest }): SnapshotFile => ({ path: name, size: Number(sizeBytes), blob: digestOf(name, digest) }));
      const id = createHash("sha256")
        .update(JSON.stringify(manifest.files.map(({ name, digest }) => [name, digest])))
        .digest("hex");
      const open = async (file: SnapshotFile): Promise<RemoteFile> => ({
        path: file.path,
        size: file.size,
        expected: { algorithm: "sha256", digest: file.blob },
        place: `run ${asked.runId}`,
        read: async (from) => bytesOf(controller, asked, file.path, from),
      });
      return { directory: await cache.fill(id, files, open, { onProgress }), version: manifest.version };
    } catch (error) {
      // The newest weights of a run that is going may be replaced meanwhile.
      const isNew = ["DataLoss", "NotFound"].includes(RetortError.from(error).code) && asked.version === undefined;
      if (!isNew || reads === maxReads) throw error;
    }
}

async function manifestOf(controller: ControllerClient, asked: RunWeights): Promise<WeightsManifest> {
  for await (const { part } of controller.getWeights({ ...asked, manifestOnly: true })) if (part.case === "manifest") return part.value;
  throw new RetortError("DataLoss", `the controller doesn't say what run ${asked.runId} has`);
}

/** A digest names a file of the cache. */
function digestOf(name: string, digest: string): string {
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new RetortError("DataLoss", `the controller lists ${name} with the digest "${digest}", which is none`);
}

async function* bytesOf(controller: ControllerClient, asked: RunWeights, name: string, from: number): AsyncGenerator<Uint8Array> {
  let at = from;
  for await (const { part } of controller.getWeights({ ...asked, files: [{ name, offset: BigInt(from) }] })) {
    if (part.case !== "chunk" || part.value.name !== name) continue;
    if (Number(part.value.offset) !== at) throw new Error(`${name} goes on at byte ${part.value.offset}, and ${at} was asked for`);
    at += part.value.data.length;
    yield part.value.data;
  }
}
