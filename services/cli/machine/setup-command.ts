import { execFile } from "node:child_process";
import { readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Command } from "commander";
import { checkRoom } from "../../shared/base/check-room.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import { pipInstall } from "../../shared/base/pip-install.js";
import {
  cudaDirectory,
  cudaLibraries,
  driverLibrary,
  filesOf,
  loadCuda,
  providerLibraries,
} from "../../shared/ml/runtime/cuda/libraries.js";
import { platformObstacle } from "../../shared/ml/runtime/cuda/obstacle.js";
import { obstacle } from "../../shared/ml/runtime/device.js";
import { addCommand, print } from "../command.js";
import { withScratch } from "../scratch.js";

/**
 * onnxruntime's CUDA provider, of the release that package.json pins, and the libraries of CUDA 13 that it links. They are as
 * NVIDIA and Microsoft publish them for Python, which is the one registry that has them all; Python itself runs none of them.
 */
const packages = {
  requirements: [
    "onnxruntime-gpu==1.30.0 --hash=sha256:6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1",
    "nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    "nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
    "nvidia-cublas==13.0.2.14 --hash=sha256:0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c",
    "nvidia-curand==10.4.0.35 --hash=sha256:1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
    "nvidia-cudnn-cu13==9.20.0.48 --hash=sha256:0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304",
  ],
  what: "the libraries of CUDA 13",
  wayOut: "set up pip (registry, proxy), or use the image with -cuda",
  options: [
    ...["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--abi", "none"],
    ...["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"].flatMap((name) => [
      "--platform",
      name,
    ]),
  ],
};

/** What they take unpacked, and while they are fetched. */
const neededBytes = 3.5e9;

/** Adds `retort setup`. */
export function addSetupCommand(program: Command): void {
  addCommand(program, "Start here:", "setup", "fetch what a device needs besides the packages of npm", [
    ["setup --cuda", "CUDA's libraries and onnxruntime's CUDA provider (1.2 GB with pip, once), for --device cuda"],
    ["doctor", "what this machine has, and what it lacks"],
  ])
    .requiredOption("--cuda", "CUDA 13's libraries, for NVIDIA GPUs on linux/x64; the driver itself must be there, 580 or newer")
    .action(async () => {
      const directory = resolve(cudaDirectory());
      await fetchCuda(directory, (sentence) => console.error(sentence));
      await checkWhole(directory);
      const reason = await obstacle("cuda");
      const result = { directory, usable: reason === undefined, ...(reason === undefined ? {} : { reason }) };
      print(program, result, `${directory}: ${reason ? `fetched. Device cuda cannot be used yet: ${reason}` : "device cuda can be used"}`);
    });
}

/** Fetches what is not there. @throws FailedPrecondition on another platform, without pip, or without room for it */
async function fetchCuda(directory: string, say: (sentence: string) => void): Promise<void> {
  const elsewhere = platformObstacle();
  if (elsewhere) throw new RetortError("FailedPrecondition", elsewhere);
  if (missingIn(directory).length === 0) return;
  await makeDirectory(dirname(directory));
  await checkRoom(dirname(directory), neededBytes, { what: "the installation" });
  // Another setup may be at the same: each has a directory of its own.
  await withScratch(`${directory}.fetching-`, async (scratch) => {
    say(`fetching ${packages.what} and onnxruntime's CUDA provider with pip (1.2 GB, once) …`);
    await pipInstall(scratch, packages);
    await keepLibraries(scratch);
    await rm(directory, { recursive: true, force: true });
    await rename(scratch, directory);
  });
}

/** Deletes what Python alone would read; licences stay. */
async function keepLibraries(directory: string): Promise<void> {
  const unread = /onnxruntime_pybind11_state|providers_tensorrt|libonnxruntime\.so/;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const isKept = path.includes(".dist-info") || (/\.so(\.\d+)*$/.test(entry.name) && !unread.test(entry.name));
    if (entry.isFile() && !isKept) await rm(path);
  }
}

/**
 * Makes sure that what was fetched fits together: all of it but the driver's library can be loaded, and the provider links nothing
 * else.
 *
 * @throws DataLoss naming what is missing
 */
async function checkWhole(directory: string): Promise<void> {
  const refuse = (what: string) => {
    throw new RetortError("DataLoss", `${directory} ${what}; delete it, and run this again`);
  };
  const [missing] = missingIn(directory);
  if (missing) refuse(`lacks ${missing}`);
  const broken = (await loadCuda()).find(({ name, error }) => error && name !== driverLibrary);
  if (broken) refuse(`has a ${broken.name} that can't be loaded (${broken.error})`);
  const files = filesOf(directory);
  const { stdout } = await promisify(execFile)("ldd", [found(files.get("libonnxruntime_providers_cuda.so"), "the provider")]);
  const linked = [...stdout.matchAll(/^\s*(\S+) => not found$/gm)].map(([, name]) => name as string);
  const strange = linked.find((name) => name !== driverLibrary && !files.has(name));
  if (strange) refuse(`has no ${strange}, which onnxruntime's provider links`);
}

function missingIn(directory: string): string[] {
  const files = filesOf(directory);
  return [...providerLibraries, ...cudaLibraries].filter((name) => !files.has(name));
}
