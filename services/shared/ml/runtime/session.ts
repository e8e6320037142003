import { parse } from "node:path";
import ort from "onnxruntime-node";
import { RetortError } from "../../base/errors.js";
import { encodeModel, type Place, type Placing } from "../graph/encode.js";
import { byteLengthOf, type FileTensor, isHalf, isInFile } from "../graph/file-tensor.js";
import type { Graph } from "../graph/graph.js";
import type { DType, Tensor } from "../graph/tensor.js";
import { TemporaryWeights } from "./temporary-weights.js";

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
   * Run the graph's nodes as they are written. Else the runtime simplifies the graph first, which takes seconds for thousands of
   * nodes. Default false.
   */
  readonly asWritten?: boolean;
  /**
   * Lay constants out for matrix products when the session is made, in memory of its own. False: they stay where they are,
   * mapped, which is slower at few rows. Default true.
   */
  readonly packed?: boolean;
  /**
   * Give nothing back: each run is told an array for every output, and writes it. Else outputs are copied on their way back, those
   * that were written to such arrays too. Default false.
   */
  readonly bound?: boolean;
}

/** A tensor for each input of a graph, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/**
 * A compiled graph. `run` and `create` block the calling thread, so a session lives in a worker thread (never on the
 * thread that serves gRPC and NATS).
 */
export class Session {
  readonly #session: ort.InferenceSession;
  readonly #bound: boolean;

  private constructor(session: ort.InferenceSession, bound = false) {
    this.#session = session;
    this.#bound = bound;
  }

  /**
   * Compiles `graph`. Constants that lie in files are mapped from there. Fails with the runtime's message when the device is
   * not available or the graph is malformed.
   *
   * @param inModel most bytes of constants in memory that are handed over with the graph, which copies them; beyond, they go by
   *   way of a file
   */
  static async create(graph: Graph, options: SessionOptions, inModel = 2 ** 26): Promise<Session> {
    const constants = [...graph.initializers.values()].map(({ tensor }) => tensor);
    const inMemory = constants.reduce((sum, constant) => sum + (isInFile(constant) ? 0 : byteLengthOf(constant)), 0);
    const own = inMemory > inModel ? new TemporaryWeights() : undefined;
    const place: Placing = (constant) => {
      if (isInFile(constant)) return placeOf(constant);
      return own && byteLengthOf(constant) >= smallestInFile ? placeOf(own.copy(constant)) : undefined;
    };
    try {
      const widens = constants.some((constant) => isInFile(constant) && isHalf(constant.dtype));
      // Our graphs are written in fused operators: a search for more of these takes time and finds nothing.
      const level = options.asWritten ? "disabled" : "basic";
      const model = encodeModel(graph, place, options.bound ? listName : undefined);
      return new Session(await ort.InferenceSession.create(model, runtimeOptions(options, level, widens)), options.bound);
    } finally {
      own?.close();
    }
  }

  /** Opens an ONNX file that some other program wrote. @throws InvalidArgument with the runtime's message if it cannot */
  static async load(path: string, options: SessionOptions): Promise<Session> {
    const session = await ort.InferenceSession.create(path, runtimeOptions(options, "all", false)).catch((error: Error) => {
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
   *
   * @param wanted outputs to give; the others stay in the runtime, which lets go of them
   * @returns the outputs; of a bound session `into`
   */
  async run(feeds: Feeds, into: Feeds = {}, wanted: readonly string[] = this.outputNames): Promise<Feeds> {
    const fetches: Record<string, ort.Tensor | null> = {};
    for (const name of wanted) fetches[name] = into[name] ? toOrt(into[name]) : null;
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    if (this.#bound) return this.#runBound(inputs, fetches, into);
    const results = await this.#session.run(inputs, fetches);
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]));
  }

  async #runBound(inputs: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor | null>, into: Feeds): Promise<Feeds> {
    const lost = Object.keys(fetches).find((name) => name !== listName && !fetches[name]);
    if (lost) throw new RetortError("Internal", `the output ${lost} of a bound session has no array`);
    try {
      await this.#session.run(inputs, fetches);
    } catch (error) {
      if (!(error as Error).message.startsWith(cannotReturn)) throw error;
    }
    return into;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The first output of a bound session, which the binding has no JavaScript value for: so it gives none of them back. */
const listName = "nothing";

/** What the binding throws when it comes to a list: all has been computed and written by then. */
const cannotReturn = "Non tensor type";

/** Constants below this many bytes stay in the model. */
const smallestInFile = 1024;

/** Root of the paths of constants: the runtime takes relative ones alone. */
const root = parse(process.cwd()).root;

const placeOf = ({ path, offset }: FileTensor): Place => ({ location: path.slice(parse(path).root.length), offset });

/** What would convert constants of half precision when a graph is compiled. */
const widening = ["ConstantFolding", "FuseFp16InitializerToFp32NodeTransformer"];

/** @param widens the graph converts constants of half precision: were that done at once, all would be held in float32 */
function runtimeOptions(
  { device, threads, memoryArena, spinning, packed }: SessionOptions,
  graphOptimizationLevel: "disabled" | "basic" | "all",
  widens: boolean,
): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: memoryArena ?? false,
    enableMemPattern: false,
    graphOptimizationLevel,
    extra: {
      session: {
        intra_op: { allow_spinning: spinning ? "1" : "0" },
        force_spinning_stop: "1",
        model_external_initializers_file_folder_path: root,
        ...(packed === false ? { disable_prepacking: "1" } : {}),
      },
      ...(widens ? { optimization: { disable_specified_optimizers: widening.join(";") } } : {}),
    },
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
