import type { RoleName } from "../shared/flow/runs/resolve.js";
import type { Run } from "../shared/gen/retort/v1/run_pb.js";

/** One process (or pod) of a run. */
export interface RoleInstance {
  readonly runId: string;
  readonly role: RoleName;
  readonly index: number;
  /** The teacher's name, for the teacher role. */
  readonly teacher?: string;
}

/** How an instance came to its end. */
export interface Exit {
  readonly instance: RoleInstance;
  /** Process exit code; 0 for a clean end. */
  readonly code: number;
  /** The last error it reported, if any. */
  readonly message: string;
}

/** Where a run's roles run: as child processes of this machine, or as pods of a cluster. */
export interface Launcher {
  /** Starts an instance; one that runs already is left alone. */
  launch(run: Run, instance: RoleInstance): Promise<void>;
  /** Ends every instance of a run and waits until they are gone. */
  stop(runId: string): Promise<void>;
  /** Tells of every instance that ended without being stopped. */
  onExit(listener: (exit: Exit) => void): void;
  /** Ends everything. */
  close(): Promise<void>;
}
