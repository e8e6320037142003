import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { driverLibrary, type LoadedLibrary, loadCuda, loadedLibrary, providerLibraries, runtimeDirectory } from "./libraries.js";

/** The oldest driver that CUDA 13 runs on. */
export const oldestDriver = 580;

const setup = "`retort setup --cuda` fetches it, as the image with -cuda has it";

/** Why there is no CUDA on this platform, with the way out; undefined if there is. */
export const platformObstacle = (): string | undefined =>
  process.platform === "linux" && process.arch === "x64"
    ? undefined
    : `onnxruntime's CUDA provider is made for linux/x64, and this is ${process.platform}/${process.arch}: use device cpu`;

/** Why CUDA can't be used here, with the way out; undefined if nothing is seen to stand against it. */
export async function cudaObstacle(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  return platformObstacle() ?? obstacleIn(await loadCuda(env), await driverVersion());
}

/** @param libraries what {@link loadCuda} found */
async function obstacleIn(libraries: readonly LoadedLibrary[], driver: string | undefined): Promise<string | undefined> {
  const lost = libraries.find(({ name, error }) => name === driverLibrary && error);
  if (lost)
    return `NVIDIA's driver isn't here (${driverLibrary}: ${lost.error}): install driver ${oldestDriver} or newer; in a container, pass the GPU in (--gpus all, or nvidia.com/gpu in the pod's limits)`;
  if (driver && Number.parseInt(driver, 10) < oldestDriver)
    return `NVIDIA's driver is ${driver}, and CUDA 13 needs ${oldestDriver} or newer: update the driver`;
  const provider = providerLibraries.find((name) => !existsSync(join(runtimeDirectory(), name)));
  if (provider) return `onnxruntime's ${provider} isn't installed: ${setup}`;
  // It serves cuDNN alone, and only for engines that it compiles as it goes.
  const missing = libraries.find(({ name, error }) => name !== driverLibrary && name !== "libnvrtc.so.13" && error);
  if (missing) return `${missing.name} of CUDA 13 can't be loaded (${missing.error}): ${setup}`;
  return deviceObstacle();
}

/** What CUDA's own runtime says when it is asked for devices. */
function deviceObstacle(): string | undefined {
  const runtime = loadedLibrary("libcudart.so.13");
  const count = [0];
  const code = runtime?.func("int cudaGetDeviceCount(_Out_ int *count)")(count) as number | undefined;
  // cudaErrorInsufficientDriver
  if (code === 35) return `NVIDIA's driver is too old for CUDA 13, which needs ${oldestDriver} or newer: update the driver`;
  if (code) {
    const why = runtime?.func("const char *cudaGetErrorString(int code)")(code) as string;
    return `CUDA finds no device (error ${code}: ${why}): \`nvidia-smi\` tells which the driver sees; is CUDA_VISIBLE_DEVICES set?`;
  }
  return count[0] === 0 ? "CUDA finds no device: is CUDA_VISIBLE_DEVICES set?" : undefined;
}

/** The kernel's driver, as 580.65.06; undefined where there is none. */
export async function driverVersion(): Promise<string | undefined> {
  const text = await readFile("/proc/driver/nvidia/version", "utf8").catch(() => "");
  return /Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s/.exec(text)?.[1];
}
