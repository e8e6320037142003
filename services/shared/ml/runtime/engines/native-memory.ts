import type { CApi, Handle } from "./c-api.js";
import type { Device, DeviceBlock, EngineMemory } from "./engine.js";

/** Memory of a session's device, from the session's own allocator. */
export class NativeMemory implements EngineMemory {
  readonly #api: CApi;
  readonly #allocator: Handle;
  readonly #kind: Handle;

  /** @param session which must live as long */
  constructor(api: CApi, session: Handle, device: Device) {
    this.#api = api;
    this.#kind = api.memoryOf(device);
    this.#allocator = api.make("CreateAllocator", session, this.#kind);
  }

  allocate(bytes: number): DeviceBlock {
    return { address: this.#api.make<bigint>("AllocatorAlloc", this.#allocator, bytes), bytes, kind: this.#kind };
  }

  free({ address }: DeviceBlock): void {
    this.#api.call("AllocatorFree", this.#allocator, address);
  }

  release(): void {
    this.#api.call("ReleaseAllocator", this.#allocator);
  }
}
