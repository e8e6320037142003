import { tmpdir } from "node:os";
import { parse } from "node:path";
import { inBlocksApart } from "../../base/allocator.js";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { freeBytes } from "../../base/free-bytes.js";
import { encodeModel, type Place, type Placing } from "../graph/encode.js";
import { byteLengthOf, type Constant, type FileTensor, isHalf, isInFile } from "../graph/file-tensor.js";
import type { Graph } from "../graph/graph.js";
import type { BoundRun, Device, Engine, EngineMemory, EngineOptions, Feeds, KeptOutputs, Placed } from "./engines/engine.js";
import { listName, StockEngine } from "./engines/stock-engine.js";
import { canWriteInPlace } from "./in-place/proof.js";
import type { WeightsInPlace } from "./in-place/weights-in-place.js";
import { TemporaryWeights } from "./temporary-weights.js";

export type { BoundRun, Device, DeviceTensor, Feeds, KeptTensor, Placed } from "./engines/engine.js";

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
   * than one thread take a third less time; others lose the core meanwhile. "briefly": 50 µs, and then asleep, which is enough from one
   * product to the next. Default false.
   */
  readonly spinning?: boolean | "briefly";
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
   * Let the device record each run that is bound at its first, and play it from then on: one call for all nodes, which must all be
   * computed on a GPU, without control flow. Elsewhere it changes nothing. Default false; of a sampler what {@link recordsBursts} says.
   */
  readonly recorded?: boolean;
  /**
   * Give nothing back: each run is told an array for every output, and writes it. Else the stock binding copies outputs on their
   * way back, those that were written to such arrays too. Default false.
   */
  readonly bound?: boolean;
  /**
   * Compile constants that lie in files so that {@link Session.rewrite} can write others over them, where this machine's runtime
   * allows it. The graph then runs as it is written. Default false.
   */
  readonly rewritable?: boolean;
  /** How onnxruntime is called. Default: what RETORT_RUNTIME says, else stock. */
  readonly runtime?: Runtime;
}

/** How onnxruntime is called: by onnxruntime-node's binding, or by the C API of the same library. */
export const runtimes = ["stock", "native"] as const;

/** One of {@link runtimes}. */
export type Runtime = (typeof runtimes)[number];

/** @throws InvalidArgument if RETORT_RUNTIME is neither */
function defaultRuntime(): Runtime {
  const named = process.env.RETORT_RUNTIME || "stock";
  const known = runtimes.find((name) => name === named);
  if (known) return known;
  throw new RetortError("InvalidArgument", `RETORT_RUNTIME is "${named}"; it must be ${runtimes.join(" or ")}`);
}

/** Whether RETORT_CUDA_GRAPHS asks for steps of decoding to be recorded. @throws InvalidArgument if it is neither 0 nor 1 */
export function recordsBursts(): boolean {
  const asked = process.env.RETORT_CUDA_GRAPHS || "0";
  if (asked === "0" || asked === "1") return asked === "1";
  throw new RetortError("InvalidArgument", `RETORT_CUDA_GRAPHS is "${asked}"; it must be 0 or 1`);
}

/** Whether tensors are best kept where a session computes: they would be copied there for each run, and the runtime can. */
export const keepsOnDevice = ({ device, runtime = defaultRuntime() }: SessionOptions): boolean => runtime === "native" && device !== "cpu";

/**
 * A compiled graph. Where the stock binding computes, `run` and `create` block the calling thread, so a session lives in a worker
 * thread (never on the thread that serves gRPC and NATS).
 */
export class Session {
  readonly #engine: Engine;
  readonly #bound: boolean;
  readonly #threads: number;
  readonly #inPlace: WeightsInPlace | undefined;

  private constructor(engine: Engine, { bound = false, threads }: SessionOptions, inPlace?: WeightsInPlace) {
    this.#engine = engine;
    this.#bound = bound;
    this.#threads = threads;
    this.#inPlace = inPlace;
  }

  /**
   * Compiles `graph`. Constants that lie in files are mapped from there. Fails with the runtime's message when the device is
   * not available or the graph is malformed.
   *
   * @param inModel most bytes of constants in memory that are handed over with the graph, which copies them; beyond, they go by
   *   way of a file
   */
  static async create(graph: Graph, options: SessionOptions, inModel = 2 ** 26): Promise<Session> {
    const create = (one: Graph) => Session.#createRewritable(one, options, inModel);
    const isInPlace = options.rewritable && (await isRewritable(graph, options)) && (await canWriteInPlace(create));
    return (isInPlace ? await create(graph) : undefined) ?? Session.#create(graph, options, inModel);
  }

  /** @returns undefined where the graph reads a weight in ways that can't be written in place */
  static async #createRewritable(graph: Graph, options: SessionOptions, inModel: number): Promise<Session | undefined> {
    // It calls native functions, which not every system has.
    const { WeightsInPlace } = await import("./in-place/weights-in-place.js");
    const inPlace = new WeightsInPlace();
    try {
      const session = await Session.#create(graph, { ...options, asWritten: true }, inModel, inPlace);
      try {
        if (inPlace.isRefused) {
          await session.release();
          return undefined;
        }
        inPlace.open();
        await inPlace.write(new Map([...graph.initializers].map(([name, { tensor }]) => [name, tensor])), options.threads);
        return session;
      } catch (error) {
        await session.release();
        throw error;
      }
    } finally {
      inPlace.closeTemplate();
    }
  }

  static async #create(graph: Graph, options: SessionOptions, inModel: number, inPlace?: WeightsInPlace): Promise<Session> {
    const constants = [...graph.initializers.values()].map(({ tensor }) => tensor);
    const inMemory = constants.reduce((sum, constant) => sum + (isInFile(constant) ? 0 : byteLengthOf(constant)), 0);
    const own = inMemory > inModel ? new TemporaryWeights() : undefined;
    const place: Placing = (constant, use) => {
      if (isInFile(constant)) return placeOf(inPlace?.place(constant, use) ?? constant);
      return own && byteLengthOf(constant) >= smallestInFile ? placeOf(own.copy(constant)) : undefined;
    };
    try {
      const widens = constants.some((constant) => isInFile(constant) && isHalf(constant.dtype));
      // Our graphs are written in fused operators: a search for more of these takes time and finds nothing.
      const settings = engineOptions(options, options.asWritten ? "disabled" : "basic", widens);
      const engine = await inBlocksApart(() => engineOf(graph, place, options, settings));
      return new Session(engine, options, inPlace);
    } finally {
      own?.close();
    }
  }

  /** Opens an ONNX file that some other program wrote. @throws InvalidArgument with the runtime's message if it cannot */
  static async load(path: string, options: SessionOptions): Promise<Session> {
    const engine = await StockEngine.create(path, engineOptions(options, "all", false)).catch((error: Error) => {
      throw new RetortError("InvalidArgument", `${path} cannot be opened as an ONNX model: ${error.message}`, { cause: error });
    });
    return new Session(engine, options);
  }

  get inputNames(): readonly string[] {
    return this.#engine.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#engine.outputNames;
  }

  /**
   * Runs the graph once. `into` gives arrays that outputs are written to, by name: an output that is listed there is
   * not allocated again. Inputs are read in place.
   *
   * @param wanted outputs to give; the others stay in the runtime, which frees them
   * @returns the outputs that are in this process's memory; of a bound session `into`
   */
  async run(feeds: Placed, into: Placed = {}, wanted: readonly string[] = this.outputNames): Promise<Feeds> {
    const lost = this.#bound ? wanted.find((name) => !into[name] && name !== listName) : undefined;
    if (lost) throw new RetortError("Internal", `the output ${lost} of a bound session has no array`);
    return this.#engine.run(feeds, into, wanted);
  }

  /**
   * Runs the graph once, and leaves some outputs where they are computed: in memory of their own, until each is released.
   *
   * @param wanted outputs to give
   * @param kept outputs to keep
   * @throws FailedPrecondition where the runtime can't keep them there
   */
  runKeeping(feeds: Placed, wanted: readonly string[], kept: readonly string[]): Promise<KeptOutputs> {
    if (!this.#engine.runKeeping) throw noDeviceTensors();
    return this.#engine.runKeeping(feeds, wanted, kept);
  }

  /**
   * Settles where a run reads and writes, for as many runs as are wanted, one after the other; until it is released, which comes
   * before the session is.
   *
   * @param outputs a place for each output that is to be computed
   * @throws FailedPrecondition where the runtime has no tensors on its device
   */
  bind(inputs: Placed, outputs: Placed): BoundRun {
    if (!this.#engine.bind) throw noDeviceTensors();
    return this.#engine.bind(inputs, outputs);
  }

  /** Memory where it computes, for as long as it lives. @throws FailedPrecondition where the runtime has none to give */
  openMemory(): EngineMemory {
    const memory = this.#engine.openMemory?.();
    if (memory) return memory;
    throw noDeviceTensors();
  }

  /** Whether {@link rewrite} writes other constants over those that the graph was compiled with. */
  get isRewritable(): boolean {
    return this.#inPlace !== undefined;
  }

  /**
   * Writes other constants over those that lay in files when the graph was compiled, of the same names and shapes: from the next run on
   * it computes with them. No run may be under way. Their files must stay as they are until others are written over them.
   *
   * @throws DataLoss if a file is too short; the session is of no use then
   */
  rewrite(constants: ReadonlyMap<string, Constant>): Promise<void> {
    return found(this.#inPlace, "memory that constants can be written to").write(constants, this.#threads);
  }

  async release(): Promise<void> {
    await this.#inPlace?.forget();
    await this.#engine.release();
  }
}

/** Whether a graph's constants can be written over: on the CPU, where they are used as they lie in their files. */
async function isRewritable(graph: Graph, { device, packed }: SessionOptions): Promise<boolean> {
  const constants = [...graph.initializers.values()].flatMap(({ tensor }) => (isInFile(tensor) ? [tensor] : []));
  const isUsedAsItLies = constants.every(({ dtype, quantised }) => dtype === "float32" && !quantised);
  if (device !== "cpu" || packed === false || constants.length === 0 || !isUsedAsItLies) return false;
  const free = await freeBytes(tmpdir());
  return free === undefined || free > constants.reduce((sum, constant) => sum + byteLengthOf(constant), 0);
}

const noDeviceTensors = () =>
  new RetortError("FailedPrecondition", "tensors stay on a device with the runtime native alone: set RETORT_RUNTIME=native");

async function engineOf(
  graph: Graph,
  place: Placing,
  { bound, runtime = defaultRuntime() }: SessionOptions,
  options: EngineOptions,
): Promise<Engine> {
  // WebGPU is known to the binding alone.
  if (runtime === "stock" || options.device === "webgpu")
    return StockEngine.create(encodeModel(graph, place, bound ? listName : undefined), options, bound);
  const { NativeEngine } = await import("./engines/native-engine.js");
  const names = [graph.inputs, graph.outputs].map((values) => values.map(({ name }) => name)) as [string[], string[]];
  return NativeEngine.create(encodeModel(graph, place), options, ...names);
}

/** Constants below this many bytes stay in the model. */
const smallestInFile = 1024;

/** Root of the paths of constants: the runtime takes relative ones alone. */
const root = parse(process.cwd()).root;

const placeOf = ({ path, offset, packed }: Pick<FileTensor, "path" | "offset"> & Pick<Place, "packed">): Place => ({
  ...{ location: path.slice(parse(path).root.length), offset },
  ...(packed ? { packed } : {}),
});

/** What would convert constants of half precision when a graph is compiled. */
const widening = ["ConstantFolding", "FuseFp16InitializerToFp32NodeTransformer"];

/** @param widens the graph converts constants of half precision: were that done at once, all would be held in float32 */
function engineOptions(
  { device, threads, memoryArena, recorded, spinning, packed }: SessionOptions,
  level: EngineOptions["level"],
  widens: boolean,
): EngineOptions {
  return {
    ...{ device, threads, memoryArena: memoryArena ?? false, recorded: recorded ?? false, level },
    config: {
      "session.intra_op.allow_spinning": spinning ? "1" : "0",
      ...(spinning === "briefly" ? { "session.intra_op.spin_duration_us": "50" } : {}),
      "session.force_spinning_stop": "1",
      "session.model_external_initializers_file_folder_path": root,
      ...(packed === false ? { "session.disable_prepacking": "1" } : {}),
      ...(widens ? { "optimization.disable_specified_optimizers": widening.join(";") } : {}),
    },
  };
}
