import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { loadedLibrary } from "./libraries.js";

const run = promisify(execFile);

/** A GPU as NVIDIA's driver tells of it. */
export interface Gpu {
  readonly name: string;
  /** Of the kernel's driver, as 580.65.06. */
  readonly driver: string;
  readonly memoryBytes: number;
  readonly freeBytes: number;
}

/** The GPUs of this machine, by `nvidia-smi`; none where there is no such program, or it fails. */
export async function gpus(): Promise<readonly Gpu[]> {
  const query = ["--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"];
  const { stdout } = await run("nvidia-smi", query).catch(() => ({ stdout: "" }));
  return stdout
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()))
    .filter((fields) => fields.length === 4)
    .map(([name = "", driver = "", total, free]) => ({
      name,
      driver,
      memoryBytes: Number(total) * 2 ** 20,
      freeBytes: Number(free) * 2 ** 20,
    }));
}

/** Versions of NVIDIA's libraries in this process, those that could be loaded: of CUDA's runtime as 13.0, of cuDNN as 9.20.0. */
export function cudaVersions(): { readonly cuda?: string; readonly cudnn?: string } {
  const version = [0];
  const failed = loadedLibrary("libcudart.so.13")?.func("int cudaRuntimeGetVersion(_Out_ int *version)")(version);
  const cudnn = loadedLibrary("libcudnn.so.9")?.func("size_t cudnnGetVersion()")() as number | undefined;
  return {
    ...(failed === 0 ? { cuda: `${Math.floor(version[0]! / 1000)}.${Math.floor((version[0]! % 1000) / 10)}` } : {}),
    ...(cudnn ? { cudnn: `${Math.floor(cudnn / 10000)}.${Math.floor((cudnn % 10000) / 100)}.${cudnn % 100}` } : {}),
  };
}
