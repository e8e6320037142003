import { existsSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import type { LibraryHandle } from "koffi";
import "../../../base/no-telemetry.js";
import ort from "onnxruntime-node";
import { cacheDirectory } from "../../../base/cache-directory.js";

/** NVIDIA's libraries that onnxruntime's CUDA provider links, each before those that need it; its own of CUDA 13, by `ldd`. */
export const cudaLibraries = [
  "libcudart.so.13",
  "libnvrtc.so.13",
  "libcublasLt.so.13",
  "libcublas.so.13",
  "libcurand.so.10",
  "libcudnn.so.9",
] as const;

/** What comes with NVIDIA's driver. */
export const driverLibrary = "libcuda.so.1";

/** onnxruntime's own part, which looks for them where its library lies. */
export const providerLibraries = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;

/**
 * Where `retort setup --cuda` keeps all of these: those of another release of onnxruntime are others.
 *
 * @param env RETORT_CUDA_DIR, which names another directory, as in the image; XDG_CACHE_HOME, HOME
 */
export const cudaDirectory = (env: NodeJS.ProcessEnv = process.env): string =>
  env.RETORT_CUDA_DIR || join(cacheDirectory(env), `cuda-onnxruntime-${ort.env.versions.node}`);

/** Where onnxruntime's library lies. */
export const runtimeDirectory = (): string =>
  join(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")), "..", "bin", "napi-v6", process.platform, process.arch);

/** What became of a library: where it was found, or what the system's loader says. */
export interface LoadedLibrary {
  readonly name: string;
  /** Absent: it is found by its name. */
  readonly path?: string;
  readonly error?: string;
}

/** What is loaded stays: the provider finds it by its name. */
const handles = new Map<string, LibraryHandle>();

/**
 * Loads NVIDIA's libraries into this process: those that `retort setup --cuda` has fetched, else the system's. onnxruntime's
 * provider is put beside its library if it was fetched and isn't there, as after an installation of the packages.
 *
 * @returns each of them, and the driver's, with what stood against it
 */
export async function loadCuda(env: NodeJS.ProcessEnv = process.env): Promise<readonly LoadedLibrary[]> {
  const { default: koffi } = await import("../../../base/foreign.js");
  const directory = cudaDirectory(env);
  const fetched = filesOf(directory);
  for (const name of providerLibraries) linkProvider(name, fetched.get(name));
  // What a library is linked with is looked for among what is loaded.
  return [driverLibrary, ...cudaLibraries].map((name) => {
    const path = fetched.get(name);
    try {
      if (!handles.has(name)) handles.set(name, koffi.load(path ?? name));
      return { name, ...(path ? { path } : {}) };
    } catch (error) {
      return { name, ...(path ? { path } : {}), error: (error as Error).message.replace(/^Failed to load shared library: /, "") };
    }
  });
}

/** A library that {@link loadCuda} has loaded; undefined if it couldn't. */
export const loadedLibrary = (name: string): LibraryHandle | undefined => handles.get(name);

/** Libraries below a directory, by their names. */
export function filesOf(directory: string): ReadonlyMap<string, string> {
  if (!existsSync(directory)) return new Map();
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) => /\.so(\.\d+)*$/.test(path));
  return new Map(paths.map((path) => [path.slice(path.lastIndexOf("/") + 1), join(directory, path)]));
}

function linkProvider(name: string, fetched: string | undefined): void {
  const place = join(runtimeDirectory(), name);
  if (!fetched || existsSync(place)) return;
  try {
    // One that leads nowhere is not there, and in the way.
    rmSync(place, { force: true });
    // Relative: an image has both at another place than where it was built.
    symlinkSync(relative(dirname(place), resolve(fetched)), place);
  } catch {
    // Somebody else was first, or it may not be written there: the runtime then says what it lacks.
  }
}
