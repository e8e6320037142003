// Dimensions: N elements.
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { dtypeInfo, float32, sizeOf, type Tensor } from "../graph/tensor.js";
import type { DeviceBlock, DeviceTensor, EngineMemory } from "./engines/engine.js";
import { Session, type SessionOptions } from "./session.js";

/** Gives what it is given: between memories of two kinds, the runtime copies. */
function copyGraph(): Graph {
  const graph = new Graph("copy");
  graph.output("to", graph.input("from", "float32", ["N"]));
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

/**
 * Tensors of float32 that stay where graphs are computed: of the runtime native. On the CPU that is memory of onnxruntime's, so that
 * the same code runs there. A tensor may be read and written by any session on the same device: a run ends when the device is done with it.
 */
export class DeviceMemory {
  readonly #copy: Session;
  readonly #zeros: Session;
  readonly #memory: EngineMemory;
  readonly #blocks: DeviceBlock[] = [];

  private constructor(copy: Session, zeros: Session, memory: EngineMemory) {
    this.#copy = copy;
    this.#zeros = zeros;
    this.#memory = memory;
  }

  /** @throws FailedPrecondition where the runtime has no such memory */
  static async open(options: SessionOptions): Promise<DeviceMemory> {
    const plain = { device: options.device, threads: options.threads, ...(options.runtime ? { runtime: options.runtime } : {}) };
    const copy = await Session.create(copyGraph(), plain);
    try {
      return new DeviceMemory(copy, await Session.create(zerosGraph(), plain), copy.openMemory());
    } catch (error) {
      await copy.release();
      throw error;
    }
  }

  /** A tensor whose elements are anything. @throws FailedPrecondition where there is no room for it, with the way out */
  allocate(dims: readonly number[]): DeviceTensor {
    const bytes = sizeOf(dims) * floatBytes;
    try {
      // Nothing has an address of its own.
      const block = this.#memory.allocate(Math.max(floatBytes, bytes));
      this.#blocks.push(block);
      return { block: { ...block, bytes }, dtype: "float32", dims };
    } catch (error) {
      throw new RetortError(
        "FailedPrecondition",
        `the device has no room for ${bytes} bytes more (${(error as Error).message}): take a smaller model, train an adapter (student.lora), or give the role a larger device, or one of its own`,
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
  part({ block }: DeviceTensor, start: number, dims: readonly number[]): DeviceTensor {
    const at = { ...block, address: block.address + BigInt(start * floatBytes), bytes: sizeOf(dims) * floatBytes };
    return { block: at, dtype: "float32", dims };
  }

  /** Writes a tensor's elements to one on the device, which has as many. */
  async upload({ data, dims }: Tensor<"float32">, to: DeviceTensor): Promise<void> {
    if (data.length > 0) await this.#copy.run({ from: float32(data, [sizeOf(dims)]) }, { to: flat(to) });
  }

  /** Reads a tensor's elements into an array, which has as many. */
  async download(from: DeviceTensor, into: Float32Array): Promise<void> {
    if (into.length > 0) await this.#copy.run({ from: flat(from) }, { to: float32(into, [into.length]) });
  }

  /** Writes 0 to every element. */
  async clear(tensor: DeviceTensor): Promise<void> {
    if (sizeOf(tensor.dims) > 0) await this.#zeros.run({ like: flat(tensor) }, { zeros: flat(tensor) });
  }

  /** Gives back all that was allocated. */
  async release(): Promise<void> {
    while (this.#blocks.length > 0) this.#memory.free(found(this.#blocks.pop(), "a block"));
    this.#memory.release();
    await this.#zeros.release();
    await this.#copy.release();
  }
}
