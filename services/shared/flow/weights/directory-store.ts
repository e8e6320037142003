import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../base/errors.js";
import { type WeightsManifest, WeightsManifestSchema } from "../../gen/retort/v1/flow_pb.js";
import { olderFence, type WeightStore, type WeightsFiles, wrongDigest } from "./store.js";

const manifestName = "manifest.binpb";

/** Versions in a directory that all roles share: `<root>/<run>/<version>/`. */
export class DirectoryStore implements WeightStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest> {
    const stored = await this.manifest(runId, version);
    if (stored && stored.fence > fence) throw olderFence(runId, version, stored.fence, fence);
    // A version that is replaced does not exist meanwhile: its files and its manifest would not fit.
    await this.delete(runId, version);
    const directory = this.#path(runId, version);
    await mkdir(directory, { recursive: true });
    for (const [name, bytes] of files) await write(join(directory, name), bytes);
    const manifest = create(WeightsManifestSchema, {
      runId,
      version,
      fence,
      created: timestampNow(),
      files: [...files].map(([name, bytes]) => ({ name, sizeBytes: BigInt(bytes.length), digest: sha256(bytes) })),
    });
    await write(join(directory, manifestName), toBinary(WeightsManifestSchema, manifest));
    return manifest;
  }

  async manifest(runId: string, version: number): Promise<WeightsManifest | undefined> {
    const bytes = await readFile(join(this.#path(runId, version), manifestName)).catch(() => undefined);
    return bytes && fromBinary(WeightsManifestSchema, bytes);
  }

  async get(runId: string, version: number): Promise<WeightsFiles> {
    const manifest = await this.manifest(runId, version);
    if (!manifest) throw new RetortError("NotFound", `run ${runId} has no stored version ${version}`);
    const files = new Map<string, Uint8Array>();
    for (const { name, digest } of manifest.files) {
      const bytes = await readFile(join(this.#path(runId, version), name)).catch((error: NodeJS.ErrnoException) => {
        throw error.code === "ENOENT"
          ? new RetortError("NotFound", `version ${version} of run ${runId} was deleted while it was read`)
          : error;
      });
      if (sha256(bytes) !== digest) throw wrongDigest(runId, version, name);
      files.set(name, bytes);
    }
    return files;
  }

  async list(runId: string): Promise<number[]> {
    const names = await readdir(join(this.#root, runId)).catch(() => []);
    const versions = await Promise.all(names.map(async (name) => ((await this.manifest(runId, Number(name))) ? [Number(name)] : [])));
    return versions.flat().sort((a, b) => a - b);
  }

  async delete(runId: string, version: number): Promise<void> {
    // The manifest goes first: a version is never half there.
    await rm(join(this.#path(runId, version), manifestName), { force: true });
    await rm(this.#path(runId, version), { recursive: true, force: true });
  }

  #path(runId: string, version: number): string {
    return join(this.#root, runId, String(version));
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const handle = await open(temporary, "w");
  try {
    await handle.writeFile(bytes);
    // On the disk before the name is: a power cut must not leave a whole manifest over half a file.
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}
