import type { RoleName } from "../../shared/flow/runs/resolve.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";

/** Processes of a run that are alike: one role, or one teacher of it. */
export interface RoleSet {
  readonly runId: string;
  readonly role: RoleName;
  /** The teacher's name, for the teacher role. */
  readonly teacher?: string;
  /** How many there are; where a queue decides, how many there may be. */
  readonly replicas: number;
  /** What its processes need to be fetched first. Default: nothing. */
  readonly fetches?: readonly Fetch[];
  /** The pool whose processes stand for this teacher; undefined for processes of the run's own. */
  readonly pool?: Pool | undefined;
}

/** Models or data that a process's machine fetches before it starts. */
export interface Fetch {
  /** `hf://…@COMMIT`, `s3://…`. */
  readonly reference: string;
  /** Where it must lie then. */
  readonly path: string;
  /** Of a model that is read for its tokenizer and configs alone. */
  readonly withoutWeights: boolean;
  /** Of an adapter: the reference of its base model, which is brought with it. */
  readonly base?: string;
}

/** Processes of a teacher that runs share. */
export interface Pool {
  /** The same for every run that asks for the same teacher. */
  readonly key: string;
  /** How long they stay without a run. */
  readonly keepWarmMs: number;
}

/** How a process of a run came to an end after which its launcher does not start it again. */
export interface Exit {
  readonly set: RoleSet;
  /** Process exit code; 0 for a learner whose run is over. */
  readonly code: number;
  /** The last error it reported, if any. */
  readonly message: string;
}

/** Why a process of a run does not start or stay, though it may yet. */
export interface Delay {
  readonly runId: string;
  /** The same for the same reason: it is told again after a restart of the controller. */
  readonly key: string;
  readonly message: string;
}

/** Who a launcher tells what happens. */
export interface Watcher {
  /** Handles an end; comes back when that is done, however long NATS or the cluster is away. */
  ended(exit: Exit): Promise<void>;
  /** Says in the run's events what its processes wait for. */
  delayed(delay: Delay): Promise<void>;
  /** False if a run is over, so that none of its processes is started again. */
  goesOn?(runId: string): Promise<boolean>;
}

/** How processes are ended: asked, and killed after their grace, or killed at once. */
export type Ending = "asked" | "killed";

/**
 * Where a run's roles live: as processes of this machine, or as pods of a cluster. A launcher keeps them alive by itself:
 * it starts one that crashed again, `maxRestarts` times in a window of time (restarts.ts).
 */
export interface Launcher {
  /** What specs may choose for a role (`roles.ROLE.profile`); absent where processes are of this machine. */
  readonly profiles?: readonly string[];
  /** Whether a set's {@link RoleSet.fetches} are honoured. */
  readonly fetches?: boolean;
  /** Starts a run's processes; what runs already, also from before a restart of the controller, is left alone. */
  launch(run: Run, sets: readonly RoleSet[]): Promise<void>;
  /** Ends every process of a run's own and waits until they are gone. Pools go on for others, or stay warm for a while. */
  stop(runId: string, ending?: Ending): Promise<void>;
  /**
   * Gives back what the processes of a paused run hold, GPUs among it; {@link launch} takes it up again. Harmless if it is done
   * already. Absent where a paused run's processes stay.
   */
  pause?(runId: string, sets: readonly RoleSet[]): Promise<void>;
  /** Begins to tell what happens, and tells what has happened already. */
  watch(watcher: Watcher): Promise<void>;
  /** Stops telling. Processes of this machine end with the controller; pods stay, and the next controller takes them up. */
  close(): Promise<void>;
}

/** Exit codes after which the same process would fail again: its input is bad (sysexits). */
export const hopelessExits: readonly number[] = [64, 65, 66, 73, 77, 78];

/** Exit codes of a process that was asked to leave: its work goes on in the one that replaces it. */
export const askedToLeave: readonly number[] = [130, 143];
