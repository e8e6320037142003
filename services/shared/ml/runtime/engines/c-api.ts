import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { KoffiFunc } from "koffi";
import { RetortError } from "../../../base/errors.js";
import koffi from "../../../base/foreign.js";
import { runtimeDirectory } from "../cuda/libraries.js";
import type { Device } from "./engine.js";

/** A function of the library: arguments and result are as its row of the table says. */
type AnyFunction = KoffiFunc<(...args: unknown[]) => unknown>;

/** Something that onnxruntime has made. */
export type Handle = bigint | object;

/** Version of the table of functions (ORT_API_VERSION); later releases only add to its end. */
const apiVersion = 24;

/**
 * Functions of onnxruntime's C API that are used, by their places in the table of onnxruntime_c_api.h: places are part of its binary
 * interface, and stay. Those that can fail return a status.
 */
const table = {
  GetErrorMessage: [2, "const char *", "void *status"],
  CreateEnv: [3, "void *", "int level, const char *name, _Out_ void **env"],
  CreateSessionFromArray: [8, "void *", "void *env, const void *model, size_t length, void *options, _Out_ void **session"],
  Run: [
    9,
    "void *",
    "void *session, void *options, const char **inputs, void **fed, size_t fedCount, const char **outputs, size_t outputCount, _Inout_ void **made",
  ],
  CreateSessionOptions: [10, "void *", "_Out_ void **options"],
  DisableMemPattern: [17, "void *", "void *options"],
  DisableCpuMemArena: [19, "void *", "void *options"],
  SetSessionLogSeverityLevel: [22, "void *", "void *options, int level"],
  SetSessionGraphOptimizationLevel: [23, "void *", "void *options, int level"],
  SetIntraOpNumThreads: [24, "void *", "void *options, int threads"],
  SetInterOpNumThreads: [25, "void *", "void *options, int threads"],
  CreateTensorWithDataAsOrtValue: [
    49,
    "void *",
    "void *info, void *data, size_t bytes, const int64_t *dims, size_t rank, int type, _Out_ void **value",
  ],
  GetTensorMutableData: [51, "void *", "void *value, _Out_ void **data"],
  GetTensorElementType: [60, "void *", "void *info, _Out_ int *type"],
  GetDimensionsCount: [61, "void *", "void *info, _Out_ size_t *rank"],
  GetDimensions: [62, "void *", "void *info, int64_t *dims, size_t rank"],
  GetTensorTypeAndShape: [65, "void *", "void *value, _Out_ void **info"],
  CreateMemoryInfo: [68, "void *", "const char *name, int allocator, int id, int kind, _Out_ void **info"],
  CreateCpuMemoryInfo: [69, "void *", "int allocator, int kind, _Out_ void **info"],
  AllocatorAlloc: [75, "void *", "void *allocator, size_t bytes, _Out_ void **memory"],
  AllocatorFree: [76, "void *", "void *allocator, void *memory"],
  CreateRunOptions: [39, "void *", "_Out_ void **options"],
  GetAllocatorWithDefaultOptions: [78, "void *", "_Out_ void **allocator"],
  ReleaseStatus: [93, "void", "void *status"],
  ReleaseMemoryInfo: [94, "void", "void *info"],
  ReleaseSession: [95, "void", "void *session"],
  ReleaseValue: [96, "void", "void *value"],
  ReleaseRunOptions: [97, "void", "void *options"],
  ReleaseTensorTypeAndShapeInfo: [99, "void", "void *info"],
  ReleaseSessionOptions: [100, "void", "void *options"],
  AddSessionConfigEntry: [130, "void *", "void *options, const char *key, const char *value"],
  CreateAllocator: [131, "void *", "void *session, void *info, _Out_ void **allocator"],
  ReleaseAllocator: [132, "void", "void *allocator"],
  RunWithBinding: [133, "void *", "void *session, void *options, void *binding"],
  CreateIoBinding: [134, "void *", "void *session, _Out_ void **binding"],
  ReleaseIoBinding: [135, "void", "void *binding"],
  BindInput: [136, "void *", "void *binding, const char *name, void *value"],
  BindOutput: [137, "void *", "void *binding, const char *name, void *value"],
  BindOutputToDevice: [138, "void *", "void *binding, const char *name, void *info"],
  GetBoundOutputValues: [140, "void *", "void *binding, void *allocator, _Out_ void **values, _Out_ size_t *count"],
  AddRunConfigEntry: [165, "void *", "void *options, const char *key, const char *value"],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, "void *", "void *options, void *cuda"],
  CreateCUDAProviderOptions: [205, "void *", "_Out_ void **cuda"],
  UpdateCUDAProviderOptions: [206, "void *", "void *cuda, const char **keys, const char **values, size_t count"],
  ReleaseCUDAProviderOptions: [208, "void", "void *cuda"],
} as const satisfies Record<string, readonly [place: number, result: string, parameters: string]>;

type Name = keyof typeof table;

/** What onnxruntime calls the memory of a device that is not the CPU. */
const memoryNames: Readonly<Partial<Record<Device, string>>> = { cuda: "Cuda" };

/** onnxruntime's C API, in the library that onnxruntime-node has loaded. */
export class CApi {
  readonly #functions: Readonly<Record<Name, AnyFunction>>;
  readonly version: string;
  /** The process's one environment: onnxruntime-node's own. */
  readonly env: Handle;
  /** That arrays lie in the CPU's memory. */
  readonly cpuMemory: Handle;
  readonly #memories = new Map<Device, Handle>();
  static #one: CApi | undefined;

  /** The API of this thread. @throws FailedPrecondition where the library is another release than it must be */
  static get(): CApi {
    CApi.#one ??= new CApi();
    return CApi.#one;
  }

  private constructor() {
    const base = koffi.load(libraryPath()).func("void *OrtGetApiBase()")() as Handle;
    const [getApi, getVersion] = koffi.decode(base, koffi.array("void *", 2)) as [Handle, Handle];
    this.version = koffi.call(getVersion, koffi.proto("const char *()")) as string;
    const api = koffi.call(getApi, koffi.proto("void *(uint32_t)"), apiVersion) as Handle | null;
    if (!api)
      throw new RetortError(
        "FailedPrecondition",
        `onnxruntime ${this.version} is older than its C API of version ${apiVersion}; install it again`,
      );
    const places = koffi.decode(api, koffi.array("void *", 1 + Math.max(...Object.values(table).map(([place]) => place)))) as Handle[];
    this.#functions = Object.fromEntries(
      Object.entries(table).map(([name, [place, result, parameters]]) => [
        name,
        koffi.decode(places[place], koffi.proto(result, parametersOf(parameters))),
      ]),
    ) as Record<Name, AnyFunction>;
    this.env = this.make("CreateEnv", 2, "retort");
    this.cpuMemory = this.make("CreateCpuMemoryInfo", 0, 0);
  }

  /** That arrays lie in a device's memory. */
  memoryOf(device: Device): Handle {
    const name = memoryNames[device];
    if (!name) return this.cpuMemory;
    const info: Handle = this.#memories.get(device) ?? this.make("CreateMemoryInfo", name, 0, 0, 0);
    this.#memories.set(device, info);
    return info;
  }

  /** Calls a function that returns nothing, or a status. @throws Internal with onnxruntime's message */
  call(name: Name, ...args: unknown[]): void {
    this.#check(this.#functions[name](...args));
  }

  /** Calls a function whose last parameter says where its result goes. */
  make<T = Handle>(name: Name, ...args: unknown[]): T {
    const result: [T | null] = [null];
    this.call(name, ...args, result);
    return result[0] as T;
  }

  /** As {@link call}, on another thread: this one goes on meanwhile. What is handed over must stay until it is done. */
  async callAside(name: Name, ...args: unknown[]): Promise<void> {
    this.#check(
      await promisify<unknown>((done: (error: unknown, status: unknown) => void) => this.#functions[name].async(...args, done))(),
    );
  }

  #check(status: unknown): void {
    if (!status) return;
    const message = this.#functions.GetErrorMessage(status) as string;
    this.#functions.ReleaseStatus(status);
    throw new Error(message);
  }
}

/** Types of parameters as C writes them, without their names: a prototype that has a name would keep it for the whole process. */
function parametersOf(text: string): (string | ReturnType<typeof koffi.out>)[] {
  return text.split(", ").map((parameter) => {
    const type = parameter
      .replace(/^_\w+_ /, "")
      .replace(/\w+$/, "")
      .trim();
    if (parameter.startsWith("_Out_")) return koffi.out(type);
    return parameter.startsWith("_Inout_") ? koffi.inout(type) : type;
  });
}

function libraryPath(): string {
  const directory = runtimeDirectory();
  const name = readdirSync(directory).find((file) => /^libonnxruntime\.(so\.\d+|[\d.]*dylib)$/.test(file));
  if (name) return join(directory, name);
  throw new RetortError(
    "FailedPrecondition",
    `the native runtime needs onnxruntime's library for ${process.platform}/${process.arch}, which isn't in ${directory}; use the runtime stock`,
  );
}
