import "../../../base/no-telemetry.js";
import ort from "onnxruntime-node";
import { RetortError } from "../../../base/errors.js";
import type { DType, Tensor } from "../../graph/tensor.js";
import { type DeviceTensor, type Engine, type EngineOptions, type Feeds, isOnDevice, type Placed } from "./engine.js";

/**
 * Name of an output that a bound graph has before all others, an empty list, for which the binding has no JavaScript value: so it
 * gives none of the others back, which would be copied on their way.
 */
export const listName = "nothing";

/** On a device it warns of each graph that the CPU computes its shapes, which is as it should be. */
const errorsOnly = 3;

/** What the binding throws when it comes to a list: all has been computed and written by then. */
const cannotReturn = "Non tensor type";

/** A graph that onnxruntime-node's binding computes. Its calls block the thread. */
export class StockEngine implements Engine {
  readonly #session: ort.InferenceSession;
  readonly #bound: boolean;

  private constructor(session: ort.InferenceSession, bound: boolean) {
    this.#session = session;
    this.#bound = bound;
  }

  /**
   * @param model a ModelProto, or a file's path
   * @param bound the graph has an output {@link listName}: outputs are never given back, but written where a run says
   * @throws an Error with the runtime's message
   */
  static async create(model: Uint8Array | string, options: EngineOptions, bound = false): Promise<StockEngine> {
    const settings = settingsOf(options);
    const made = typeof model === "string" ? ort.InferenceSession.create(model, settings) : ort.InferenceSession.create(model, settings);
    return new StockEngine(await made, bound);
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  async run(feeds: Placed, into: Placed, wanted: readonly string[]): Promise<Feeds> {
    const fetches: Record<string, ort.Tensor | null> = {};
    for (const name of wanted) fetches[name] = into[name] ? toOrt(into[name]) : null;
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    if (this.#bound) return this.#runBound(inputs, fetches, into);
    const results = await this.#session.run(inputs, fetches);
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]));
  }

  async #runBound(inputs: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor | null>, into: Placed): Promise<Feeds> {
    try {
      await this.#session.run(inputs, fetches);
    } catch (error) {
      if (!(error as Error).message.startsWith(cannotReturn)) throw error;
    }
    return into as Feeds;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Its settings are nested where the runtime's keys have dots. */
function settingsOf({ device, threads, memoryArena, level, config }: EngineOptions): ort.InferenceSession.SessionOptions {
  const extra: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    const path = key.split(".");
    let place = extra;
    for (const part of path.slice(0, -1)) {
      const below = (place[part] ?? {}) as Record<string, unknown>;
      place[part] = below;
      place = below;
    }
    place[path.at(-1) as string] = value;
  }
  return {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: memoryArena,
    enableMemPattern: false,
    graphOptimizationLevel: level,
    ...(device === "cpu" ? {} : { logSeverityLevel: errorsOnly }),
    extra,
  };
}

function toOrt(tensor: Tensor | DeviceTensor): ort.Tensor {
  if (isOnDevice(tensor)) throw new RetortError("Internal", "the runtime stock has no tensors that stay on a device");
  const { dtype, data, dims } = tensor;
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
