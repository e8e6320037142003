import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Problem } from "../../shared/base/errors.js";
import { checkSpec } from "../../shared/flow/runs/spec.js";
import { RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkModels, checkObjectives, inspectModels } from "./check-models.js";
import { chooseSignals } from "./choose-signal.js";
import { commonRows } from "./vocabulary.js";
import { type SpecWarning, warningsOf } from "./warnings.js";

/** What a thread of the controller does with a spec, which comes as bytes. */
export class Inspection {
  async problems(bytes: Uint8Array): Promise<Problem[]> {
    return checkSpec(fromBinary(RunSpecSchema, bytes), checkObjectives);
  }

  modelProblems(bytes: Uint8Array): Promise<Problem[]> {
    return checkModels(fromBinary(RunSpecSchema, bytes));
  }

  /** The warnings, and the spec with the rows of its vocabulary and its signals. */
  async settle(bytes: Uint8Array): Promise<{ readonly spec: Uint8Array; readonly warnings: readonly SpecWarning[] }> {
    const spec = fromBinary(RunSpecSchema, bytes);
    const inspected = await inspectModels(spec);
    const warnings = warningsOf(spec, inspected);
    const models = [inspected.student, ...inspected.teachers];
    const rows = commonRows(spec, models);
    // Every role reads it from the spec, so that all distributions range over the same rows.
    if (models.some((model) => model.rows !== rows)) spec.vocabSize = rows;
    if (spec.teachers.length) chooseSignals(spec, rows);
    return { spec: toBinary(RunSpecSchema, spec), warnings };
  }
}
