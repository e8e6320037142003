import type { Exit, Launcher, RoleSet } from "../../services/controller/launcher.js";
import type { Run } from "../../services/shared/gen/retort/v1/run_pb.js";

/** A launcher that starts nothing and remembers what it was asked for. */
export class FakeLauncher implements Launcher {
  readonly launched: { readonly runId: string; readonly sets: readonly RoleSet[] }[] = [];
  readonly stopped: string[] = [];
  #handle: (exit: Exit) => Promise<void> = async () => {};

  async launch({ runId }: Run, sets: readonly RoleSet[]): Promise<void> {
    this.launched.push({ runId, sets });
  }

  async stop(runId: string): Promise<void> {
    this.stopped.push(runId);
  }

  async watch(handle: (exit: Exit) => Promise<void>): Promise<void> {
    this.#handle = handle;
  }

  async close(): Promise<void> {
    this.#handle = async () => {};
  }

  /** Tells that processes of a role came to an end that their launcher does not mend. */
  end(runId: string, role: RoleSet["role"], code: number, message = ""): Promise<void> {
    return this.#handle({ set: { runId, role, replicas: 1 }, code, message });
  }
}
