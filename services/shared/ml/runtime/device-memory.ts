// Dimensions: N elements.
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { type ArrayOf, type DType, dtypeInfo, sizeOf, type Tensor } from "../graph/tensor.js";
import type { DeviceBlock, DeviceTensor, EngineMemory } from "./engines/engine.js";
import { Session, type SessionOptions } from "./session.js";

/** Gives what it is given: between memories of two kinds, the runtime copies. */
function copyGraph(dtype: DType): Graph {
  const graph = new Graph("copy");
  graph.output("to", graph.input("from", dtype, ["N"]));
  return graph;
}

/** Gives as many zeros as an array has elements, whatever they are. */
function zerosGraph(): Graph {
  const graph = new Graph("zeros");
  const size = op.dimOf(graph.input("like", "float32", ["N"]), 0);
  graph.output("zeros", op.constantOfShape(size, ["N"], op.fillOf("float32", 0)));
  return graph;
}

const { bytes: floatBytes } = dtypeInfo.float32;

/** The same elements in one row. */
const flat = (tensor: DeviceTensor): DeviceTensor => ({ ...tensor, dims: [sizeOf(tensor.dims)] });

/** What a call refers to elements of where it doesn't say. */
const usual = "float32";

/**
 * Tensors that stay where graphs are computed: of the runtime native. On the CPU that is memory of onnxruntime's, so that the same
 * code runs there. A tensor may be read and written by any session on the same device: a run ends when the device is done with it.
 */
export class DeviceMemory {
  readonly #options: SessionOptions;
  readonly #copies = new Map<DType, Session>();
  readonly #zeros: Session;
  readonly #memory: EngineMemory;
  readonly #blocks: DeviceBlock[] = [];

  private constructor(options: SessionOptions, zeros: Session, memory: EngineMemory) {
    this.#options = options;
    this.#zeros = zeros;
    this.#memory = memory;
  }

  /** @throws FailedPrecondition where the runtime has no such memory */
  static async open(options: SessionOptions): Promise<DeviceMemory> {
    const plain = { device: options.device, threads: options.threads, ...(options.runtime ? { runtime: options.runtime } : {}) };
    const zeros = await Session.create(zerosGraph(), plain);
    try {
      return new DeviceMemory(plain, zeros, zeros.openMemory());
    } catch (error) {
      await zeros.release();
      throw error;
    }
  }

  /** A tensor whose elements are anything. @throws FailedPrecondition where there is no room for it, with the way out */
  allocate(dims: readonly number[], dtype: DType = usual): DeviceTensor {
    const bytes = sizeOf(dims) * dtypeInfo[dtype].bytes;
    try {
      // Nothing has an address of its own.
      const block = this.#memory.allocate(Math.max(floatBytes, bytes));
      this.#blocks.push(block);
      return { block: { ...block, bytes }, dtype, dims };
    } catch (error) {
      throw new RetortError(
        "FailedPrecondition",
        `the device has no room for ${bytes} bytes more (${(error as Error).message}): take a smaller model, write fewer sequences at once (maxRows), train an adapter (student.lora), or give the role a larger device, or one of its own`,
        { cause: error },
      );
    }
  }

  /** Gives a tensor back that {@link allocate} made. */
  free({ block }: DeviceTensor): void {
    const at = this.#blocks.findIndex(({ address }) => address === block.address);
    for (const one of this.#blocks.splice(at, at < 0 ? 0 : 1)) this.#memory.free(one);
  }

  /** Some of a tensor's elements, in the same memory. @param start place of the first of them */
  part({ block, dtype }: DeviceTensor, start: number, dims: readonly number[]): DeviceTensor {
    return this.view({ block, dtype, dims }, start * dtypeInfo[dtype].bytes, dtype, dims);
  }

  /** Some of a tensor's bytes as another one. @param start bytes before them */
  view({ block }: DeviceTensor, start: number, dtype: DType, dims: readonly number[]): DeviceTensor {
    return { block: { ...block, address: block.address + BigInt(start), bytes: sizeOf(dims) * dtypeInfo[dtype].bytes }, dtype, dims };
  }

  /** Writes a tensor's elements to one on the device, which has as many. */
  async upload(tensor: Tensor, to: DeviceTensor): Promise<void> {
    const { dtype, data } = tensor;
    if (data.length === 0) return;
    await (await this.#copy(dtype)).run({ from: { ...tensor, dims: [data.length] } }, { to: flat(to) });
  }

  /** Reads a tensor's elements into an array of its type, which has as many. */
  async download<D extends DType>(from: DeviceTensor, into: ArrayOf[D]): Promise<void> {
    if (into.length === 0) return;
    const to = { dtype: from.dtype, data: into, dims: [into.length] } as Tensor;
    await (await this.#copy(from.dtype)).run({ from: flat(from) }, { to });
  }

  /** Writes a tensor's elements to another, both on the device. */
  async copy(from: DeviceTensor, to: DeviceTensor): Promise<void> {
    if (sizeOf(from.dims) > 0) await (await this.#copy(from.dtype)).run({ from: flat(from) }, { to: flat(to) });
  }

  /** Writes 0 to every element, of float32. */
  async clear(tensor: DeviceTensor): Promise<void> {
    if (sizeOf(tensor.dims) > 0) await this.#zeros.run({ like: flat(tensor) }, { zeros: flat(tensor) });
  }

  /** Gives back all that was allocated. */
  async release(): Promise<void> {
    while (this.#blocks.length > 0) this.#memory.free(found(this.#blocks.pop(), "a block"));
    this.#memory.release();
    await this.#zeros.release();
    for (const copy of this.#copies.values()) await copy.release();
    this.#copies.clear();
  }

  async #copy(dtype: DType): Promise<Session> {
    const copy = this.#copies.get(dtype) ?? (await Session.create(copyGraph(dtype), this.#options));
    this.#copies.set(dtype, copy);
    return copy;
  }
}
