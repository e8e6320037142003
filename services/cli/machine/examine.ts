import { access } from "node:fs/promises";
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import "../../shared/base/no-telemetry.js";
import ort from "onnxruntime-node";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { cacheDirectory } from "../../shared/base/cache-directory.js";
import { freeBytes } from "../../shared/base/free-bytes.js";
import { memoryLimit } from "../../shared/base/memory-limit.js";
import { lookForNats, natsUnavailable } from "../../shared/base/nats-server.js";
import { cudaVersions, gpus } from "../../shared/ml/runtime/cuda/gpus.js";
import { devices, obstacle } from "../../shared/ml/runtime/device.js";
import type { Device } from "../../shared/ml/runtime/session.js";

/** `ok`; `lacking`: Retort does not run so; `absent`: it does, without this; `note`: it does, and this may come to matter. */
export type FindingState = "ok" | "lacking" | "absent" | "note";

/** Something that a machine has, or lacks. */
export interface Finding {
  readonly what: string;
  readonly state: FindingState;
  readonly found: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** Less room than a run of a model of a billion parameters takes for its checkpoints and versions, in bytes. */
const ampleDisk = 20e9;

/** Less memory than the learner of a model of 135M parameters takes, in bytes. */
const ampleMemory = 4e9;

/** What this machine has, in the order in which a run needs it. @param needed a device that must be usable */
export async function examine(needed: Device): Promise<readonly Finding[]> {
  const found: Finding[] = [node(), memory(), ...(await disks()), await nats()];
  for (const device of devices) found.push(await deviceFinding(device, device === needed));
  return found;
}

const node = (): Finding => ({
  what: "Node",
  state: "ok",
  found: `${process.version}, ${process.platform}/${process.arch}; onnxruntime ${ort.env.versions.node}`,
});

function memory(): Finding {
  const total = memoryLimit();
  const bound = total < totalmem() ? " (the limit of this container)" : "";
  const found = `${bytesInWords(total)}${bound}, ${bytesInWords(Math.min(freemem(), total))} free; ${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}`;
  if (total >= ampleMemory) return { what: "memory", state: "ok", found };
  const remedy = "a learner takes 16 bytes per parameter and its activations: train small models, or an adapter, or elsewhere";
  return { what: "memory", state: "note", found, remedy };
}

async function disks(): Promise<Finding[]> {
  const places = { "data (.retort)": resolve(".retort"), temporary: tmpdir(), cache: cacheDirectory() };
  return Promise.all(
    Object.entries(places).map(async ([what, directory]): Promise<Finding> => {
      const free = await freeBytes(await existing(directory));
      const found = `${directory}: ${free === undefined ? "unknown" : bytesInWords(free)} free`;
      if (free === undefined || free >= ampleDisk) return { what: `disk, ${what}`, state: "ok", found };
      const remedy = "checkpoints take 12 bytes per parameter and are kept twice; --data-dir, TMPDIR and XDG_CACHE_HOME name other places";
      return { what: `disk, ${what}`, state: "note", found, remedy };
    }),
  );
}

/** The directory, or the nearest above it that is there. */
const existing = (directory: string): Promise<string> =>
  access(directory).then(
    () => directory,
    () => (dirname(directory) === directory ? directory : existing(dirname(directory))),
  );

async function nats(): Promise<Finding> {
  const what = "nats-server";
  if (process.env.RETORT_NATS_URL) return { what, state: "ok", found: "RETORT_NATS_URL names a server" };
  const { found, old, hasGo } = await lookForNats();
  if (found) return { what, state: "ok", found: `${found.version}, ${found.binary}` };
  const outdated = old.map((version) => `${version} is too old; `).join("");
  if (hasGo) return { what, state: "ok", found: `${outdated}Go builds one when it is first needed` };
  const { message } = natsUnavailable("there is neither a recent nats-server nor Go");
  return { what, state: "lacking", found: `${outdated}none`, remedy: message };
}

async function deviceFinding(device: Device, isNeeded: boolean): Promise<Finding> {
  const what = `device ${device}`;
  const reason = await obstacle(device);
  if (reason === undefined) return { what, state: "ok", found: await deviceDetails(device) };
  const hasHardware = device === "cuda" && (await gpus()).length > 0;
  return { what, state: isNeeded ? "lacking" : hasHardware ? "note" : "absent", found: "cannot be used", remedy: reason };
}

async function deviceDetails(device: Device): Promise<string> {
  if (device !== "cuda") return "can be used";
  const cards = (await gpus()).map(
    ({ name, driver, memoryBytes, freeBytes }) =>
      `${name}, ${bytesInWords(freeBytes)} of ${bytesInWords(memoryBytes)} free, driver ${driver}`,
  );
  const { cuda, cudnn } = cudaVersions();
  return [...cards, `CUDA ${cuda ?? "unknown"}, cuDNN ${cudnn ?? "unknown"}`].join("; ");
}
