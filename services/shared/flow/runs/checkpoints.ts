import type { CheckpointSpec } from "../../gen/retort/v1/run_spec_pb.js";

/** When a run saves checkpoints, and how many of them stay: the spec's settings with their defaults. */
export interface CheckpointSettings {
  /** 0: by time alone. */
  readonly everySteps: number;
  /** 0: by steps alone. */
  readonly everySeconds: number;
  /** How many of the newest are kept. */
  readonly keep: number;
}

/** The checkpoints that a spec asks for; as CheckpointSpec in run_spec.proto. */
export const resolveCheckpoints = (spec: CheckpointSpec | undefined): CheckpointSettings => ({
  everySteps: spec?.everySteps ?? 0,
  everySeconds: spec?.everySeconds ?? 600,
  keep: spec?.keep || 2,
});
