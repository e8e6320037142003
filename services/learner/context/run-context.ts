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

/** Who is told what a learner is doing, for its status and its metrics. */
export interface Progress {
  /** @param step that was finished last, or is being trained */
  doing(step: number, activity: string): void;
  /** @param seconds that the step took, waiting included */
  stepFinished(step: number, stats: StepStats, seconds: number): void;
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
