import type { ListSamplesRequest, Problem, ProcessLog, ReadFiguresResponse } from "../../shared/gen/retort/v1/controller_pb.js";
import type { RunEstimate } from "../../shared/gen/retort/v1/estimate_pb.js";
import type { RunEvent, SamplesRecorded } from "../../shared/gen/retort/v1/events_pb.js";
import type { Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Login } from "./login.js";
import type { Summary } from "./report-data.js";

/** Which samples are asked for; what is absent lets all pass. */
export type SampleFilter = Partial<
  Pick<ListSamplesRequest, "firstStep" | "lastStep" | "minReward" | "maxReward" | "minTokens" | "maxTokens" | "finished" | "limit">
>;

/** What the validator says of a spec. */
export interface Answers {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** What the run is expected to take; absent if it can't run. */
  readonly estimate?: RunEstimate | undefined;
}

/** Which runs; what is absent lets all pass. */
export interface RunFilter {
  /** Words, each of which is in what is said of the run. */
  readonly search?: string;
  readonly state?: RunState | undefined;
  /** Where a page begins: `next` of the page before. Default: at the newest run. */
  readonly page?: string;
}

/** Runs of a list. */
export interface RunPage {
  /** Newest first. */
  readonly runs: readonly Run[];
  /** Where the next page begins; empty if this is the last one. */
  readonly next: string;
}

/** What can be asked of a controller beyond reading. */
export interface Control {
  pause(runId: string): Promise<void>;
  resume(runId: string): Promise<void>;
  stop(runId: string): Promise<void>;
  validate(spec: RunSpec): Promise<Answers>;
  /**
   * Starts a run.
   *
   * @param requestId of the caller's choice: asked again with the same one, this starts no second run
   * @returns the run's id
   */
  start(spec: RunSpec, requestId: string): Promise<string>;
}

/** Where the page has runs from: a controller, or data in the page's own file. */
export interface Source {
  /** A page of the runs that pass. */
  runs(filter: RunFilter): Promise<RunPage>;
  run(runId: string): Promise<Run>;
  /** Curves by name, each of at most so many points. @param names empty for all */
  figures(runId: string, names: readonly string[], maxPoints: number): Promise<ReadFiguresResponse>;
  /** Newest step first. */
  samples(runId: string, filter: SampleFilter): Promise<readonly SamplesRecorded[]>;
  /** The run's events from its beginning; follows a run that goes on. */
  watch(runId: string, signal: AbortSignal): AsyncIterable<RunEvent>;
  /** Absent where there are no logs. */
  logs?(runId: string): Promise<readonly ProcessLog[]>;
  /** Absent where nothing can be asked. */
  readonly control?: Control;
  /** Absent where no token is ever asked for. */
  readonly login?: Login;
  /** What is shown first, as the parts of the page's address. Absent: the list of runs. */
  readonly home?: readonly string[];
  /** What a report says first of all. */
  readonly summary?: Summary;
  /** How it came about, for a file. */
  readonly about?: readonly (readonly [name: string, value: string])[];
}
