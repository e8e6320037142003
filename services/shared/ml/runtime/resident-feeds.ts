import type { Tensor } from "../graph/tensor.js";
import { DeviceMemory } from "./device-memory.js";
import type { DeviceTensor, Placed, SessionOptions } from "./session.js";

/** What every run is fed alike, kept on the device: what takes its place goes where it lies, and graphs stay. */
export class ResidentFeeds {
  readonly #memory: DeviceMemory;
  readonly #held = new Map<string, DeviceTensor>();

  private constructor(memory: DeviceMemory) {
    this.#memory = memory;
  }

  /** @throws FailedPrecondition where the runtime cannot keep tensors on its device */
  static async open(options: SessionOptions): Promise<ResidentFeeds> {
    return new ResidentFeeds(await DeviceMemory.open(options));
  }

  /** Takes a tensor to the device, in the place of the one that has its name, whose dimensions it has. @throws as `DeviceMemory.allocate` */
  async put(name: string, tensor: Tensor): Promise<void> {
    const place = this.#held.get(name) ?? this.#memory.allocate(tensor.dims, tensor.dtype);
    this.#held.set(name, place);
    await this.#memory.upload(tensor, place);
  }

  /** All of them, by the names of a graph's inputs. */
  get feeds(): Placed {
    return Object.fromEntries(this.#held);
  }

  async release(): Promise<void> {
    this.#held.clear();
    await this.#memory.release();
  }
}
