import type { Tensor } from "../../graph/tensor.js";

/** Where a session computes. */
export type Device = "cpu" | "cuda" | "webgpu";

/** A tensor for each input of a graph, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

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
   * @param into arrays that outputs are written to
   * @param wanted outputs to give
   * @returns the outputs; those in `into` are its own
   */
  run(feeds: Feeds, into: Feeds, wanted: readonly string[]): Promise<Feeds>;
  release(): Promise<void>;
}
