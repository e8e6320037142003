import type { Log } from "../../shared/base/log.js";
import type { WorkerClient } from "../../shared/base/workers.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import type { TrainerOptions } from "../../shared/ml/training/trainer.js";
import type { StudentOptions } from "../model/open-student.js";
import type { TrainHost } from "../model/train-host.js";
import type { ResultsReader } from "../tasks/results-reader.js";
import type { PolicyAnnouncer } from "./policy-announcer.js";
import type { Reporter } from "./reporter.js";

/** What the metrics say of a step; the meaning of each figure is that of StepFinished in events.proto. */
export interface StepReport
  extends Pick<StepStats, "loss" | "divergence" | "entropy" | "gradientNorm" | "mismatchKl" | "completionTokens"> {
  readonly reward: number | undefined;
  readonly meanLength: number;
  readonly stalenessMean: number;
  readonly tasksInFlight: number;
  readonly sequences: number;
  readonly failedPrompts: number;
  readonly seconds: number;
  readonly waitSeconds: number;
  readonly trainSeconds: number;
  readonly publishSeconds: number;
}

/** Who is told what a learner is doing, for its status and its metrics. */
export interface Progress {
  /** @param step that the run goes on behind: its checkpoint's, or 0 */
  tookOver(step: number): void;
  /** @param step that was finished last, or is being trained */
  doing(step: number, activity: string): void;
  stepFinished(step: number, report: StepReport): void;
  /** A checkpoint has been saved. */
  checkpointed(): void;
  /**
   * All that is waited for now of one kind of things; nothing once the wait is over.
   *
   * @param missing how many, by who owes them
   */
  waitsFor(kind: string, missing: ReadonlyMap<string, number>): void;
}

/** Where a learner is, as its service says it. */
export interface LearnerStatus {
  readonly step: number;
  readonly totalSteps: number;
  readonly activity: string;
}

/** What a learner has before it takes its run over. */
export interface LearnerContext {
  readonly membership: Membership;
  readonly host: WorkerClient<TrainHost>;
  readonly log: Log;
  readonly dataDir: string;
  readonly device: TrainerOptions["device"];
  readonly threads: number;
  /** Element type that the base of an adapter is held in; undefined: as its checkpoint has it. */
  readonly dtype: StudentOptions["dtype"];
  /** Aborted when the process is asked to stop. */
  readonly stop: AbortSignal;
  readonly progress: Progress;
}

/** A run that this learner has taken over. */
export interface RunContext extends LearnerContext {
  /** Higher than that of every learner before; what those issued is no longer asked for. */
  readonly fence: bigint;
  readonly results: ResultsReader;
  readonly report: Reporter;
  readonly announcer: PolicyAnnouncer;
}
