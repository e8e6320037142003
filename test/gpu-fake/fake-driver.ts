import { execFile } from "node:child_process";
import { access, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { cudaDirectory, filesOf, loadCuda, providerLibraries } from "../../services/shared/ml/runtime/cuda/libraries.js";

const run = promisify(execFile);

/** Sources of the driver. */
const sources = resolve("test/gpu-fake/driver");

/** Libraries, each before those that link it, with whether their symbols carry the library's name as a version. */
const libraries = [
  { name: "libcudart.so.13", source: "cudart.c", versioned: true },
  { name: "libcublas.so.13", source: "cublas.c", versioned: true },
  { name: "libcublasLt.so.13", source: "cublasLt.c", versioned: true },
  { name: "libcudnn.so.9", source: "cudnn.c", versioned: false },
  { name: "libcurand.so.10", source: "curand.c", versioned: false },
  { name: "libcuda.so.1", source: "cuda.c", versioned: false },
] as const;

/** A directory with a driver that computes nothing, and onnxruntime's own CUDA provider: RETORT_CUDA_DIR of who is to use it. */
export interface FakeDriver {
  readonly directory: string;
  remove(): Promise<void>;
}

/** Builds the driver. @throws an Error without a C compiler, or without the provider, with the way out */
export async function buildFakeDriver(): Promise<FakeDriver> {
  const provider = await providerFiles();
  const directory = await mkdtemp(join(tmpdir(), "retort-fake-gpu-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    for (const library of libraries) await compile(directory, library);
    for (const path of provider) await symlink(path, join(directory, path.slice(path.lastIndexOf("/") + 1)));
    return { directory, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** onnxruntime's CUDA provider, fetched where it is not there. */
async function providerFiles(): Promise<string[]> {
  if (providerLibraries.some((name) => !filesOf(cudaDirectory()).has(name))) {
    console.error("fetching onnxruntime's CUDA provider: retort setup --cuda");
    await run(process.execPath, ["dist/services/cli.js", "setup", "--cuda"]);
  }
  // The provider beside onnxruntime's library is to be that which stays.
  await loadCuda();
  const files = filesOf(cudaDirectory());
  return providerLibraries.map((name) => {
    const path = files.get(name);
    if (!path) throw new Error(`${name} isn't in ${cudaDirectory()}; delete that directory, and run this again`);
    return path;
  });
}

async function compile(directory: string, { name, source, versioned }: (typeof libraries)[number]): Promise<void> {
  const isFirst = name === libraries[0].name;
  const map = join(directory, `${name}.map`);
  if (versioned) await writeFile(map, `${name} { global: *; };\n`);
  const args = [
    ...["-shared", "-fPIC", "-O1", "-w", "-o", join(directory, name), join(sources, source), `-Wl,-soname,${name}`],
    ...(versioned ? [`-Wl,--version-script=${map}`] : []),
    ...(isFirst ? [] : [join(directory, libraries[0].name)]),
  ];
  await run(process.env.CC || "cc", args).catch((error: NodeJS.ErrnoException & { stderr?: string }) => {
    if (error.code === "ENOENT") throw new Error("a C compiler builds the fake driver, and there is none: install gcc, or name one by CC");
    throw new Error(`${source} isn't compiled: ${error.stderr ?? error.message}`);
  });
  await access(join(directory, name));
}
