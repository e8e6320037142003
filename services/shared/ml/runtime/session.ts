import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { RetortError } from "../../base/errors.js";
import { encodeModel } from "../graph/encode.js";
import type { Graph } from "../graph/graph.js";
import type { DType, Tensor } from "../graph/tensor.js";
import { fitsOneMessage, writeModel } from "../graph/write-model.js";

/** Where a session computes. */
export type Device = "cpu" | "cuda" | "webgpu";

/** Where and how a graph is computed. */
export interface SessionOptions {
  readonly device: Device;
  /** Threads inside one operator (CPU). */
  readonly threads: number;
  /**
   * Keep freed memory for the next run instead of giving it back. Faster by a third where every run has much the same
   * shapes (training); where shapes vary it holds memory for each. Default false.
   */
  readonly memoryArena?: boolean;
  /**
   * Let a session's threads wait for each other in a loop instead of asleep, within a run. Many small operators on more
   * than one thread take a third less time; others lose the core meanwhile. Default false.
   */
  readonly spinning?: boolean;
  /**
   * Run the graph's nodes as they are written. Else the runtime rewrites the graph first, which takes seconds for thousands of
   * nodes. Default false.
   */
  readonly asWritten?: boolean;
}

/** A tensor for each input of a graph, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/**
 * A compiled graph. `run` and `create` block the calling thread, so a session lives in a worker thread (never on the
 * thread that serves gRPC and NATS).
 */
export class Session {
  readonly #session: ort.InferenceSession;

  private constructor(session: ort.InferenceSession) {
    this.#session = session;
  }

  /**
   * Compiles `graph`. Fails with the runtime's message when the device is not available or the graph is malformed.
   *
   * @param maxBytes constants beyond this go to the runtime by way of a file; default what a protobuf message can hold
   */
  static async create(graph: Graph, options: SessionOptions, maxBytes?: number): Promise<Session> {
    if (fitsOneMessage(graph, maxBytes)) return new Session(await ort.InferenceSession.create(encodeModel(graph), runtimeOptions(options)));
    const directory = await mkdtemp(join(tmpdir(), "retort-graph-"));
    try {
      await writeModel(directory, graph, maxBytes);
      return new Session(await ort.InferenceSession.create(join(directory, "model.onnx"), runtimeOptions(options)));
    } finally {
      // What the runtime has mapped stays until the session ends.
      await rm(directory, { recursive: true });
    }
  }

  /** Opens an ONNX file that some other program wrote. @throws InvalidArgument with the runtime's message if it cannot */
  static async load(path: string, options: SessionOptions): Promise<Session> {
    const session = await ort.InferenceSession.create(path, runtimeOptions(options)).catch((error: Error) => {
      throw new RetortError("InvalidArgument", `${path} cannot be opened as an ONNX model: ${error.message}`, { cause: error });
    });
    return new Session(session);
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /**
   * Runs the graph once. `into` gives arrays that outputs are written to, by name: an output that is listed there is
   * not allocated anew. Inputs are read in place.
   */
  async run(feeds: Feeds, into: Feeds = {}): Promise<Record<string, Tensor>> {
    const fetches: Record<string, ort.Tensor | null> = {};
    for (const name of this.#session.outputNames) fetches[name] = into[name] ? toOrt(into[name]) : null;
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    const results = await this.#session.run(inputs, fetches);
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]));
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function runtimeOptions({ device, threads, memoryArena, spinning, asWritten }: SessionOptions): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: memoryArena ?? false,
    enableMemPattern: false,
    graphOptimizationLevel: asWritten ? "disabled" : "all",
    extra: { session: { intra_op: { allow_spinning: spinning ? "1" : "0" }, force_spinning_stop: "1" } },
  };
}

function toOrt({ dtype, data, dims }: Tensor): ort.Tensor {
  // Where JavaScript has a Float16Array (Node 24), the tensor class makes one of the bits, and the runtime cannot read it.
  if (dtype === "float16") return Object.assign(new ort.Tensor("uint16", data as Uint16Array, dims), { type: dtype });
  return new ort.Tensor(dtype as ort.Tensor.Type, data as ort.Tensor.DataType, dims as number[]) as ort.Tensor;
}

function fromOrt(tensor: ort.Tensor): Tensor {
  const { data } = tensor;
  // Newer runtimes of JavaScript give float16 as numbers; ours travels as bits.
  const bits = tensor.type === "float16" && !(data instanceof Uint16Array);
  const view = data as Float32Array;
  return {
    dtype: tensor.type as DType,
    dims: tensor.dims,
    data: bits ? new Uint16Array(view.buffer, view.byteOffset, view.length) : data,
  } as Tensor;
}
