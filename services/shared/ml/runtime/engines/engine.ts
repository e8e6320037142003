import type { Tensor } from "../../graph/tensor.js";

/** Where a session computes. */
export type Device = "cpu" | "cuda" | "webgpu";

/** A tensor for each input of a graph, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Memory where a session computes. */
export interface DeviceBlock {
  /** Of the first byte. */
  readonly address: bigint;
  readonly bytes: number;
  /** What onnxruntime calls that memory. */
  readonly kind: unknown;
}

/** A tensor that stays where a session computes: `DeviceMemory` makes it. It holds float32. */
export interface DeviceTensor {
  readonly block: DeviceBlock;
  readonly dims: readonly number[];
}

/** A tensor for each input or output of a graph, by name: in this process's memory, or where the graph is computed. */
export type Placed = Readonly<Record<string, Tensor | DeviceTensor>>;

/** Whether a tensor is one on a device. */
export const isOnDevice = (tensor: Tensor | DeviceTensor): tensor is DeviceTensor => "block" in tensor;

/** Memory of an engine's device. What is taken must be given back before the engine is released. */
export interface EngineMemory {
  /** @throws an Error with the runtime's message if there is no room */
  allocate(bytes: number): DeviceBlock;
  free(block: DeviceBlock): void;
  release(): void;
}

/** How onnxruntime is told to compile and run a graph. */
export interface EngineOptions {
  readonly device: Device;
  readonly threads: number;
  readonly memoryArena: boolean;
  /** How far the runtime rewrites the graph. */
  readonly level: "disabled" | "basic" | "all";
  /** onnxruntime's session options by key, as in onnxruntime_session_options_config_keys.h. */
  readonly config: Readonly<Record<string, string>>;
}

/** A compiled graph, as one of the ways to call onnxruntime has it. */
export interface Engine {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once.
   *
   * @param feeds a tensor for each input, read in place
   * @param into tensors that outputs are written to
   * @param wanted outputs to give
   * @returns the outputs but those that are on the device; those in `into` are its own
   */
  run(feeds: Placed, into: Placed, wanted: readonly string[]): Promise<Feeds>;
  /** Opens the memory of its device; absent where tensors can't stay there between runs. */
  openMemory?(): EngineMemory;
  release(): Promise<void>;
}
