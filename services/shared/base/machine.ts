import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform } from "node:os";
import { fileURLToPath } from "node:url";
import { memoryLimit } from "./memory-limit.js";

const require = createRequire(import.meta.url);

const versionIn = (path: string): string => (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;

/** Programs that compute, with their versions: "Retort 0.1.0, Node 22.4.0, onnxruntime 1.30.0". */
export function softwareInWords(): string {
  const own = versionIn(fileURLToPath(new URL("../../../../package.json", import.meta.url)));
  return `Retort ${own}, Node ${process.versions.node}, onnxruntime ${versionIn(require.resolve("onnxruntime-node/package.json"))}`;
}

/** This machine as far as it matters for speed: "linux x64, 16 × AMD EPYC 9554, 64 GB". A container's limit counts as its memory. */
export function machineInWords(): string {
  const cores = cpus();
  const processor = cores[0] ? `${cores.length} × ${cores[0].model.trim()}` : "unknown processor";
  return `${platform()} ${arch()}, ${processor}, ${(memoryLimit() / 1e9).toFixed(0)} GB`;
}
