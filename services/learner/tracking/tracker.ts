import type { NamedValue } from "../../shared/flow/history/figures.js";
import type { TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";

/** Where figures belong. */
export interface TrackedPoint {
  readonly step: number;
  readonly timeMs: number;
  /** Since the run was made. */
  readonly elapsedSeconds: number;
}

/** The figures of a step, with what is no number. */
export interface TrackedStep extends TrackedPoint {
  readonly phase: string;
  readonly source: string;
  readonly completionTokens: number;
  readonly values: readonly NamedValue[];
}

/** The figures of an evaluation of the version of a step. */
export interface TrackedEvaluation extends TrackedPoint {
  readonly values: readonly NamedValue[];
}

/** A file, or files, that a run's figures are written to, in the order of steps. */
export interface Tracker {
  /** What it is called in warnings. */
  readonly name: string;
  step(step: TrackedStep): Promise<void>;
  evaluation(evaluation: TrackedEvaluation): Promise<void>;
  samples(point: TrackedPoint, samples: readonly TrainingSample[]): Promise<void>;
  /** All that was written is on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
