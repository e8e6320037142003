import type { CApi, Handle } from "./c-api.js";
import type { Device, DeviceBlock, EngineMemory } from "./engine.js";

/** What onnxruntime calls the memory of a device that is not the CPU. */
const names: Readonly<Partial<Record<Device, string>>> = { cuda: "Cuda" };

/** Memory of a session's device, from the session's own allocator. */
export class NativeMemory implements EngineMemory {
  readonly #api: CApi;
  readonly #allocator: Handle;
  /** What the memory is called, and whether that is to be released here. */
  readonly #kind: { readonly info: Handle; readonly isOwn: boolean };

  /** @param session which must live as long */
  constructor(api: CApi, session: Handle, device: Device) {
    const name = names[device];
    this.#api = api;
    this.#kind = name ? { info: api.make("CreateMemoryInfo", name, 0, 0, 0), isOwn: true } : { info: api.cpuMemory, isOwn: false };
    this.#allocator = api.make("CreateAllocator", session, this.#kind.info);
  }

  allocate(bytes: number): DeviceBlock {
    return { address: this.#api.make<bigint>("AllocatorAlloc", this.#allocator, bytes), bytes, kind: this.#kind.info };
  }

  free({ address }: DeviceBlock): void {
    this.#api.call("AllocatorFree", this.#allocator, address);
  }

  release(): void {
    this.#api.call("ReleaseAllocator", this.#allocator);
    if (this.#kind.isOwn) this.#api.call("ReleaseMemoryInfo", this.#kind.info);
  }
}
