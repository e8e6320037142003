import type { CheckedRun } from "../../../services/controller/check/checked-run.js";
import { resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { soundParts } from "../../../services/shared/flow/runs/sound-spec.js";
import { smolLm2 as config } from "../models/known-shapes.js";
import { specOf } from "./run-spec.js";

/**
 * A run that nothing is wrong with, of a student of SmolLM2's shape and a teacher of as many parameters.
 *
 * @param phase beside one step of 8 completions of 48 tokens
 * @param more fields of the spec
 * @param dtype the teacher's
 */
export function checkedRun(phase: object = {}, more: object = {}, dtype = "float32"): CheckedRun {
  const phases = [{ steps: 1, batchSize: 8, sampling: { maxNewTokens: 48 }, ...phase }];
  const { spec } = soundParts(specOf({ phases, ...more }));
  const student = { config, rows: 49_152, adapted: false, dtype: "bfloat16" } as CheckedRun["student"];
  const named = { field: "teachers[0].model", name: "the teacher", teacher: "default" };
  const teacher = { ...named, parameters: 134_515_008, hiddenSize: 576, rows: 49_152, dtype } as CheckedRun["teachers"][number];
  return { spec, run: resolveRun(spec), student, teachers: spec.teachers.length ? [teacher] : [] };
}
