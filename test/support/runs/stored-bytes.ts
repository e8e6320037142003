import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { VersionFile, WeightStore } from "../../../services/shared/flow/weights/store.js";
import type { WeightsManifest } from "../../../services/shared/gen/retort/v1/flow_pb.js";

/** Stores a version whose files are given by their bytes, as a learner does. */
export async function storeBytes(
  store: WeightStore,
  runId: string,
  version: number,
  files: ReadonlyMap<string, Uint8Array>,
  fence: bigint,
): Promise<WeightsManifest> {
  const directory = await store.stage(runId, fence);
  const staged: VersionFile[] = [];
  for (const [name, bytes] of files) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    staged.push({ name, path, sizeBytes: bytes.length, digest: createHash("sha256").update(bytes).digest("hex") });
  }
  const manifest = await store.put(runId, version, staged, fence);
  await rm(directory, { recursive: true });
  return manifest;
}

/** The bytes of a version's files by name, as a reader has them. */
export async function fetchedBytes(
  store: WeightStore,
  runId: string,
  version: number,
  wanted?: (name: string) => boolean,
): Promise<Map<string, Buffer>> {
  const directory = store.holding(runId, `test-${randomUUID()}`);
  try {
    await store.fetch(runId, version, directory, wanted);
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    return new Map(await Promise.all(paths.sort().map(async (path) => [relative(directory, path), await readFile(path)] as const)));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
