import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import type { EnvironmentContext, JestEnvironmentConfig } from "@jest/environment";
import { TestEnvironment } from "jest-environment-node";

/**
 * The node environment with the host's typed arrays: jest gives tests array classes of their own, which the native
 * runtime does not accept as its own. The threads of a test file end with it: each file loads the modules anew, and with them
 * a thread of tokenizers that is made to stay as long as its process. Commands of a test file find no controller but its own: not
 * another file's, which may end at any time, and not that of whoever runs the tests.
 */
export default class SuiteEnvironment extends TestEnvironment {
  readonly #threads = new Set<Worker>();
  readonly #started = (thread: Worker): void => {
    this.#threads.add(thread);
    thread.once("exit", () => this.#threads.delete(thread));
  };

  readonly #state: string;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    const state = mkdtempSync(join(tmpdir(), "retort-state-"));
    // Tests get a copy of the environment, which is made below.
    process.env.XDG_STATE_HOME = state;
    for (const name of ["XDG_RUNTIME_DIR", "RETORT_CONTROLLER", "RETORT_TOKEN"]) delete process.env[name];
    super(config, context);
    this.#state = state;
    const shared = {
      ArrayBuffer,
      BigInt64Array,
      BigUint64Array,
      DataView,
      Float32Array,
      Float64Array,
      Int8Array,
      Int16Array,
      Int32Array,
      Uint8Array,
      Uint16Array,
      Uint32Array,
    };
    Object.assign(this.global, shared);
    process.on("worker", this.#started);
  }

  override async teardown(): Promise<void> {
    process.off("worker", this.#started);
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
    await super.teardown();
    rmSync(this.#state, { recursive: true, force: true });
  }
}
