import type { DType, Tensor } from "../../graph/tensor.js";

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

/** A tensor that stays where a session computes: `DeviceMemory` makes it, or a run that keeps an output. */
export interface DeviceTensor {
  readonly block: DeviceBlock;
  readonly dtype: DType;
  readonly dims: readonly number[];
}

/** An output that a run has left where it was computed. It may outlive its session. */
export interface KeptTensor extends DeviceTensor {
  /** Gives its memory back: nothing may read it any more. */
  release(): void;
}

/** What a run that keeps outputs gives: the others, in this process's memory, and those. */
export interface KeptOutputs {
  readonly outputs: Feeds;
  readonly kept: Readonly<Record<string, KeptTensor>>;
}

/** A tensor for each input or output of a graph, by name: in this process's memory, or where the graph is computed. */
export type Placed = Readonly<Record<string, Tensor | DeviceTensor>>;

/** Whether a tensor is one on a device. */
export const isOnDevice = (tensor: Tensor | DeviceTensor): tensor is DeviceTensor => "block" in tensor;

/** A run whose inputs and outputs have their places. */
export interface BoundRun {
  /** @param awaited false: where it is recorded, the device may be at it still; another run of the same session comes behind it. Default true */
  run(awaited?: boolean): Promise<void>;
  release(): void;
}

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
  /** Runs that are bound are recorded by the device at their first, and played from then on: one call for all nodes. */
  readonly recorded: boolean;
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
  /**
   * Runs the graph once, and leaves some outputs where they are computed, whatever their size; absent where they can't stay there.
   *
   * @param wanted outputs to give
   * @param kept outputs to keep
   */
  runKeeping?(feeds: Placed, wanted: readonly string[], kept: readonly string[]): Promise<KeptOutputs>;
  /** Settles where a run's inputs and outputs lie, for as many runs as are wanted; absent where they can't stay on its device. */
  bind?(inputs: Placed, outputs: Placed): BoundRun;
  /** Opens the memory of its device; absent where tensors can't stay there between runs. */
  openMemory?(): EngineMemory;
  release(): Promise<void>;
}
