import type { Ending, Launcher, RoleSet, Watcher } from "../../../services/controller/launch/launcher.js";
import type { Run } from "../../../services/shared/gen/retort/v1/run_pb.js";

/** A launcher that starts nothing and remembers what it was asked for. */
export class FakeLauncher implements Launcher {
  readonly launched: { readonly runId: string; readonly sets: readonly RoleSet[] }[] = [];
  readonly stopped: string[] = [];
  /** Runs whose processes were killed. */
  readonly killed: string[] = [];
  /** What a launch fails with, if it is to fail. */
  refuse: Error | undefined;
  watcher: Watcher | undefined;

  async launch({ runId }: Run, sets: readonly RoleSet[]): Promise<void> {
    if (this.refuse) throw this.refuse;
    this.launched.push({ runId, sets });
  }

  async stop(runId: string, ending: Ending = "asked"): Promise<void> {
    (ending === "killed" ? this.killed : this.stopped).push(runId);
  }

  async watch(watcher: Watcher): Promise<void> {
    this.watcher = watcher;
  }

  async close(): Promise<void> {
    this.watcher = undefined;
  }

  /** Tells that processes of a role came to an end that their launcher does not mend. */
  async end(runId: string, role: RoleSet["role"], code: number, message = ""): Promise<void> {
    await this.watcher?.ended({ set: { runId, role, replicas: 1 }, code, message });
  }
}
