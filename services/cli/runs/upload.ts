import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import pLimit from "p-limit";
import pRetry, { AbortError } from "p-retry";
import { RetortError } from "../../shared/base/errors.js";
import { readAt } from "../../shared/base/file-bytes.js";
import { hashFile } from "../../shared/base/hash-file.js";
import { withRegular } from "../../shared/base/regular-files.js";
import type { OnProgress } from "../../shared/base/remote/snapshot-cache.js";
import { baseModelOf } from "../../shared/flow/runs/base-model.js";
import { dataFiles, modelFiles, weightFiles } from "../../shared/flow/runs/input-files.js";
import { isAddress, namedInputs } from "../../shared/flow/runs/named-inputs.js";
import type { MissingBytes } from "../../shared/gen/retort/v1/controller_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { ControllerClient } from "../local.js";
import { showTransfer } from "../terminal/bar.js";

/** A file of this machine that is to be uploaded. */
interface LocalFile {
  /** Its name in what is uploaded. */
  readonly path: string;
  readonly place: string;
  readonly size: number;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
}

/** What is sent, and who hears of it. */
export interface UploadOptions {
  /** Whether only tokenizer and configs of a model are read. */
  readonly withoutWeights?: boolean | undefined;
  readonly onProgress?: OnProgress;
}

/** Bytes of a piece. */
const chunkBytes = 4 * 2 ** 20;
/** How long a piece may take: a controller that has started anew reads again what it has. */
const chunkMs = 600_000;
/** Files that are sent at once. */
const together = 4;
const retries = 5;

/**
 * Uploads a file, or what Retort reads of a model's or data's directory. What the controller has is not sent again, and an upload that
 * was cut off goes on where it was.
 *
 * @returns how specs of this controller name it
 * @throws NotFound if there is nothing to send; FailedPrecondition for an adapter whose base would stay behind; Unavailable if the controller can't be reached; what it refuses
 */
export async function upload(
  controller: ControllerClient,
  path: string,
  { withoutWeights = false, onProgress = () => {} }: UploadOptions = {},
): Promise<string> {
  await refuseWithoutBase(path);
  const { files, isFile } = await filesOf(path, withoutWeights);
  const send = async () => {
    const listed = files.map(({ path, size, digest }) => ({ path, sizeBytes: BigInt(size), digest }));
    for (;;) {
      const { reference, missing } = await controller.prepareUpload({ files: listed });
      if (missing.length === 0) return reference;
      await sendMissing(controller, files, missing, onProgress);
    }
  };
  const attempt = () =>
    send().catch((error: unknown) => {
      const { code } = RetortError.from(error);
      // A controller that has started anew has forgotten what was prepared.
      throw code === "Unavailable" || code === "NotFound" ? error : new AbortError(RetortError.from(error));
    });
  const reference = await pRetry(attempt, { retries, minTimeout: 500, maxTimeout: 10_000 });
  return isFile ? `${reference}/${files[0]?.path}` : reference;
}

/** An adapter names its base by a path. One that is on this machine would not be found on the controller's. */
async function refuseWithoutBase(path: string): Promise<void> {
  const base = await baseModelOf(path);
  if (!base || !(await isHere(base))) return;
  throw new RetortError(
    "FailedPrecondition",
    `${path} is an adapter of ${base}, which isn't sent with it; make one model of both (retort export ${path} --merged --out DIR), and send that`,
  );
}

/** The files that are sent of a path, with their digests. */
async function filesOf(path: string, withoutWeights: boolean): Promise<{ files: readonly LocalFile[]; isFile: boolean }> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); name a file or a directory of this machine`);
  });
  const isFile = !found.isDirectory();
  const names = isFile ? [""] : (await sentOf(path)).filter((name) => !(withoutWeights && weightFiles.test(name)));
  if (names.length === 0)
    throw new RetortError("NotFound", `${path} holds neither a model (config.json, *.safetensors …) nor data (*.jsonl, *.json, *.parquet)`);
  const files: LocalFile[] = [];
  for (const name of names) {
    const place = join(path, name);
    const [digest, { size }] = [await hashFile(place), await stat(place)];
    files.push({ path: name || basename(resolve(path)), place, size, digest });
  }
  return { files, isFile };
}

/** What Retort reads of a directory: of a model's, its files; else rows. */
async function sentOf(directory: string): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const model = names.filter((name) => modelFiles.test(name));
  const isModel = model.some((name) => /^((adapter_)?config|tokenizer)\.json$/.test(name));
  const wanted = isModel ? model : names.filter((name) => dataFiles.test(name));
  const kinds = await Promise.all(wanted.map(async (name) => (await stat(join(directory, name))).isFile()));
  return wanted.filter((_, i) => kinds[i]);
}

async function sendMissing(
  controller: ControllerClient,
  files: readonly LocalFile[],
  missing: readonly MissingBytes[],
  onProgress: OnProgress,
): Promise<void> {
  const byDigest = new Map(files.map((file) => [file.digest, file]));
  const lacking = missing.flatMap(({ digest, offset }) => {
    const file = byDigest.get(digest);
    return file ? [{ file, offset: Number(offset) }] : [];
  });
  const total = lacking.reduce((sum, { file }) => sum + file.size, 0);
  let done = lacking.reduce((sum, { offset }) => sum + offset, 0);
  onProgress(done, total);
  const limited = pLimit(together);
  const tell = (bytes: number) => {
    done += bytes;
    onProgress(done, total);
  };
  await Promise.all(lacking.map(({ file, offset }) => limited(() => sendFile(controller, file, offset, tell))));
}

/** Sends a file from a byte on; of one that is there without having been compared, an empty piece. */
async function sendFile(controller: ControllerClient, { place, size, digest }: LocalFile, from: number, tell: (bytes: number) => void) {
  await withRegular(place, async (file) => {
    let at = from;
    do {
      const data = await readAt(file, at, Math.min(chunkBytes, size - at), place);
      const { offset } = await controller.uploadChunk(
        { digest, offset: BigInt(at), data: data as Uint8Array<ArrayBuffer> },
        { timeoutMs: chunkMs },
      );
      // Somebody else sends the same file, or some of it got lost.
      tell(Number(offset) - at);
      at = Number(offset);
    } while (at < size);
  });
}

/**
 * Uploads what a spec names on this machine, and names it by what the controller calls it. What isn't on this machine is the
 * controller's own, and stays.
 */
export async function uploadInputs(controller: ControllerClient, spec: RunSpec): Promise<void> {
  const references = new Map<string, string>();
  for (const { path, replace, withoutWeights } of namedInputs(spec)) {
    if (path === "" || isAddress(path) || !(await isHere(path))) continue;
    const key = JSON.stringify([path, withoutWeights ?? false]);
    const reference = references.get(key) ?? (await uploadShown(controller, path, withoutWeights));
    references.set(key, reference);
    replace(reference);
  }
}

/** As {@link upload}, with progress on standard error. */
export async function uploadShown(controller: ControllerClient, path: string, withoutWeights?: boolean): Promise<string> {
  const shown = showTransfer(`uploading ${path}`);
  try {
    return await upload(controller, path, { withoutWeights, onProgress: shown.update });
  } finally {
    shown.stop();
  }
}

const isHere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
