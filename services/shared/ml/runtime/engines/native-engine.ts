import koffi from "../../../base/foreign.js";
import { found } from "../../../base/found.js";
import { type DType, dtypeInfo, sizeOf, type Tensor } from "../../graph/tensor.js";
import { CApi, type Handle } from "./c-api.js";
import {
  type BoundRun,
  type Device,
  type DeviceTensor,
  type Engine,
  type EngineMemory,
  type EngineOptions,
  type Feeds,
  isOnDevice,
  type KeptOutputs,
  type KeptTensor,
  type Placed,
} from "./engine.js";
import { NativeMemory } from "./native-memory.js";

/** On a device it warns of each graph that the CPU computes its shapes, which is as it should be. */
const errorsOnly = 3;

const levels = { disabled: 0, basic: 1, all: 99 } as const;

const dtypeOfCode = new Map(Object.entries(dtypeInfo).map(([dtype, { code }]) => [code, dtype as DType]));

const arrays = {
  bfloat16: Uint16Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
} as const;

/**
 * What CUDA's provider is told. Its products of float32 have the mantissa of float32, not TF32's ten bits; memory is taken as it is
 * needed, not twice as much each time, since roles may share a card.
 */
const cudaOptions = { device_id: "0", use_tf32: "0", arena_extend_strategy: "kSameAsRequested" };

/** Lets a session compute on a device; the CPU takes what it can't. */
function addProvider(api: CApi, settings: Handle, { device, recorded }: EngineOptions): void {
  if (device !== "cuda") return;
  const cuda = api.make("CreateCUDAProviderOptions");
  const told = { ...cudaOptions, ...(recorded ? { enable_cuda_graph: "1" } : {}) };
  try {
    api.call("UpdateCUDAProviderOptions", cuda, Object.keys(told), Object.values(told), Object.keys(told).length);
    api.call("SessionOptionsAppendExecutionProvider_CUDA_V2", settings, cuda);
  } finally {
    api.call("ReleaseCUDAProviderOptions", cuda);
  }
}

/** A graph that onnxruntime's C API computes: outputs are written where they belong, and the thread goes on meanwhile. */
export class NativeEngine implements Engine {
  readonly #api: CApi;
  readonly #session: Handle;
  readonly #device: Device;
  readonly #isRecorded: boolean;
  /** Runs that have been bound. */
  #bound = 0;

  private constructor(
    api: CApi,
    session: Handle,
    { device, recorded }: EngineOptions,
    readonly inputNames: readonly string[],
    readonly outputNames: readonly string[],
  ) {
    this.#api = api;
    this.#session = session;
    this.#device = device;
    this.#isRecorded = recorded && device === "cuda";
  }

  /** @param model a ModelProto with these inputs and outputs @throws an Error with the runtime's message */
  static async create(
    model: Uint8Array,
    options: EngineOptions,
    inputs: readonly string[],
    outputs: readonly string[],
  ): Promise<NativeEngine> {
    const api = CApi.get();
    const settings = api.make("CreateSessionOptions");
    try {
      api.call("SetIntraOpNumThreads", settings, options.threads);
      api.call("SetInterOpNumThreads", settings, 1);
      api.call("DisableMemPattern", settings);
      if (!options.memoryArena) api.call("DisableCpuMemArena", settings);
      if (options.device !== "cpu") api.call("SetSessionLogSeverityLevel", settings, errorsOnly);
      api.call("SetSessionGraphOptimizationLevel", settings, levels[options.level]);
      for (const [key, value] of Object.entries(options.config)) api.call("AddSessionConfigEntry", settings, key, value);
      addProvider(api, settings, options);
      const session: [Handle | null] = [null];
      await api.callAside("CreateSessionFromArray", api.env, model, model.byteLength, settings, session);
      return new NativeEngine(api, found(session[0] ?? undefined, "the session"), options, inputs, outputs);
    } finally {
      api.call("ReleaseSessionOptions", settings);
    }
  }

  async run(feeds: Placed, into: Placed, wanted: readonly string[]): Promise<Feeds> {
    const api = this.#api;
    const names = Object.keys(feeds);
    const values: Handle[] = [];
    try {
      for (const name of names) values.push(this.#valueOf(found(feeds[name], name)));
      const made: (Handle | null)[] = [];
      for (const name of wanted) {
        const place = into[name];
        made.push(place ? this.#valueOf(place) : null);
      }
      const given = made.map((value) => value !== null);
      try {
        await api.callAside("Run", this.#session, null, names, values, names.length, wanted, wanted.length, made);
        const outputs: Record<string, Tensor> = {};
        for (const [i, name] of wanted.entries()) {
          const tensor = given[i] ? found(into[name], name) : this.#copyOf(found(made[i] ?? undefined, name));
          if (!isOnDevice(tensor)) outputs[name] = tensor;
        }
        return outputs;
      } finally {
        for (const value of made) if (value) api.call("ReleaseValue", value);
      }
    } finally {
      for (const value of values) api.call("ReleaseValue", value);
    }
  }

  async runKeeping(feeds: Placed, wanted: readonly string[], kept: readonly string[]): Promise<KeptOutputs> {
    const api = this.#api;
    const device = api.memoryOf(this.#device);
    const binding = api.make("CreateIoBinding", this.#session);
    const values: Handle[] = [];
    try {
      for (const [name, tensor] of Object.entries(feeds)) {
        const value = this.#valueOf(tensor);
        values.push(value);
        api.call("BindInput", binding, name, value);
      }
      for (const name of wanted) api.call("BindOutputToDevice", binding, name, api.cpuMemory);
      for (const name of kept) api.call("BindOutputToDevice", binding, name, device);
      await api.callAside("RunWithBinding", this.#session, null, binding);
      const made = this.#boundOutputs(binding);
      const given = made.slice(0, wanted.length);
      try {
        return {
          outputs: Object.fromEntries(wanted.map((name, i) => [name, this.#copyOf(found(given[i], name))])),
          kept: Object.fromEntries(kept.map((name, i) => [name, this.#keptOf(found(made[wanted.length + i], name), device)])),
        };
      } finally {
        for (const value of given) api.call("ReleaseValue", value);
      }
    } finally {
      api.call("ReleaseIoBinding", binding);
      for (const value of values) api.call("ReleaseValue", value);
    }
  }

  bind(inputs: Placed, outputs: Placed): BoundRun {
    const api = this.#api;
    const binding = api.make("CreateIoBinding", this.#session);
    const values: Handle[] = [];
    const options = this.#boundOptions();
    const release = () => {
      for (const one of Object.values(options)) api.call("ReleaseRunOptions", one);
      api.call("ReleaseIoBinding", binding);
      for (const value of values.splice(0)) api.call("ReleaseValue", value);
    };
    const bindAll = (call: "BindInput" | "BindOutput", tensors: Placed) => {
      for (const [name, tensor] of Object.entries(tensors)) {
        const value = this.#valueOf(tensor);
        values.push(value);
        api.call(call, binding, name, value);
      }
    };
    try {
      bindAll("BindInput", inputs);
      bindAll("BindOutput", outputs);
    } catch (error) {
      release();
      throw error;
    }
    // It holds the arrays that it reads and writes.
    const held = { inputs, outputs };
    let isRecorded = false;
    // What is recorded is so for one thread, which is to play it, too.
    const play = async (awaited: boolean) => {
      api.call("RunWithBinding", this.#session, awaited || !isRecorded ? options.awaited : options.running, binding);
      isRecorded = true;
    };
    const runAside = () => api.callAside("RunWithBinding", this.#session, options.awaited, binding).finally(() => held);
    return { run: (awaited = true) => (this.#isRecorded ? play(awaited) : runAside()), release };
  }

  /** Options of a bound run: after which the device is done, and after which it may be at it still. */
  #boundOptions(): Record<"awaited" | "running", Handle> {
    const api = this.#api;
    const [awaited, running] = [api.make("CreateRunOptions"), api.make("CreateRunOptions")];
    // By its number the device knows what it has recorded.
    this.#bound++;
    if (this.#isRecorded) for (const one of [awaited, running]) api.call("AddRunConfigEntry", one, "gpu_graph_id", String(this.#bound));
    api.call("AddRunConfigEntry", running, "disable_synchronize_execution_providers", "1");
    return { awaited, running };
  }

  openMemory(): EngineMemory {
    return new NativeMemory(this.#api, this.#session, this.#device);
  }

  async release(): Promise<void> {
    this.#api.call("ReleaseSession", this.#session);
  }

  /** A value over a tensor's own memory. */
  #valueOf(tensor: Tensor | DeviceTensor): Handle {
    if (isOnDevice(tensor)) {
      const { block, dtype, dims } = tensor;
      const { code } = dtypeInfo[dtype];
      return this.#api.make("CreateTensorWithDataAsOrtValue", block.kind, block.address, block.bytes, dims, dims.length, code);
    }
    const { dtype, data, dims } = tensor;
    // A small array may lie where the garbage collector moves it, until its buffer is asked for.
    void data.buffer;
    return this.#api.make(
      "CreateTensorWithDataAsOrtValue",
      this.#api.cpuMemory,
      data,
      data.byteLength,
      dims,
      dims.length,
      dtypeInfo[dtype].code,
    );
  }

  /** Values that a binding's outputs are in, in the order of their binding. Each is to be released. */
  #boundOutputs(binding: Handle): Handle[] {
    const api = this.#api;
    const allocator = api.make("GetAllocatorWithDefaultOptions");
    const list: [Handle | null] = [null];
    const count: [number | bigint | null] = [null];
    api.call("GetBoundOutputValues", binding, allocator, list, count);
    const [first] = list;
    if (!first) return [];
    const values = koffi.decode(first, koffi.array("void *", Number(count[0]))) as Handle[];
    api.call("AllocatorFree", allocator, first);
    return values;
  }

  #copyOf(value: Handle): Tensor {
    const { dtype, dims } = this.#typeOf(value);
    const bytes = sizeOf(dims) * dtypeInfo[dtype].bytes;
    const buffer = bytes > 0 ? koffi.view(this.#api.make("GetTensorMutableData", value), bytes).slice(0) : new ArrayBuffer(0);
    return { dtype, dims, data: new arrays[dtype](buffer) } as Tensor;
  }

  #keptOf(value: Handle, kind: Handle): KeptTensor {
    const { dtype, dims } = this.#typeOf(value);
    const address = this.#api.make<bigint>("GetTensorMutableData", value);
    const block = { address, bytes: sizeOf(dims) * dtypeInfo[dtype].bytes, kind };
    return { dtype, dims, block, release: () => this.#api.call("ReleaseValue", value) };
  }

  #typeOf(value: Handle): { readonly dtype: DType; readonly dims: readonly number[] } {
    const api = this.#api;
    const info = api.make("GetTensorTypeAndShape", value);
    try {
      const rank = Number(api.make<number | bigint>("GetDimensionsCount", info));
      const dims64 = new BigInt64Array(rank);
      if (rank > 0) api.call("GetDimensions", info, dims64, rank);
      const dtype = found(dtypeOfCode.get(api.make<number>("GetTensorElementType", info)), "the output's type");
      return { dtype, dims: Array.from(dims64, Number) };
    } finally {
      api.call("ReleaseTensorTypeAndShapeInfo", info);
    }
  }
}
