import type { Streams } from "../../shared/base/streams/connection.js";
import type { Report } from "../../shared/flow/runs/aside.js";
import type { RunStore } from "../../shared/flow/runs/run-store.js";
import type { WeightStore } from "../../shared/flow/weights/store.js";
import type { RunPlace } from "../check/run-place.js";
import type { UploadStore } from "../uploads/upload-store.js";
import type { Histories } from "./histories.js";
import type { ReadLogs } from "./read-logs.js";
import type { RunStorage } from "./storage.js";
import type { Supervisor } from "./supervisor.js";

/** What the methods of ControllerService work with. */
export interface ControllerContext {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: WeightStore;
  readonly supervisor: Supervisor;
  /** What specs may name of where runs go. Default: any path, and no profile. */
  readonly place?: RunPlace;
  readonly now: () => Date;
  /** Where runs keep their files; without it sizes are unknown, and no run can be deleted. */
  readonly storage?: RunStorage;
  /** What callers have uploaded; without it nothing can be. */
  readonly uploads?: UploadStore;
  /**
   * Most bytes of what one reference (hf://, s3://) names that are fetched to check a spec, where a run's processes fetch it themselves; undefined where
   * they don't.
   */
  readonly mostFetchedBytes?: number | undefined;
  /** What the events of runs say. */
  readonly histories: Histories;
  /** The logs of a run's processes. */
  readonly logs: ReadLogs;
  /** How long a stop may take. Default 120000. */
  readonly stopDeadlineMs?: number;
  /** What is done about an event that cannot be read. */
  readonly report?: Report;
}
