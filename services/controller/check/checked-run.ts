import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { NamedModel, StudentModel } from "./named-model.js";

/** Something that is allowed and unusual. */
export interface SpecWarning {
  readonly field: string;
  readonly message: string;
}

/** A run that nothing is wrong with, and all that was read to find out: signals, warnings and the launch are made of it. */
export interface CheckedRun {
  readonly spec: RunSpecValid;
  readonly run: ResolvedRun;
  readonly student: StudentModel;
  /** In the spec's order, and behind them the further models of ensembles. */
  readonly teachers: readonly NamedModel[];
  /** What is allowed and unusual about its rows. */
  readonly rowWarnings?: readonly SpecWarning[];
  /** Tokens of a prompt of its dataset's first rows, on average; undefined where there is none. */
  readonly promptTokens?: number | undefined;
}
