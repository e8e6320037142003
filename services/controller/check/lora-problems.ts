import type { Problem } from "../../shared/base/errors.js";
import { resolveLora } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { targetProblems } from "../../shared/ml/models/adapter/layers.js";
import type { StudentModel } from "./named-model.js";

/** What is wrong with the adapter that a spec wants on its student: one problem for each name that is no linear layer's. */
export function loraProblems({ student: { lora: given, model } }: RunSpecValid, { config, adapted }: StudentModel): Problem[] {
  const lora = resolveLora(given);
  if (!lora || !config) return [];
  if (adapted)
    return [{ fieldPath: "student.lora", description: `${model} is an adapter already; leave lora out to train it on, or merge it first` }];
  return targetProblems(config, lora.targetModules).map(({ at, description }) => ({
    fieldPath: `student.lora.targetModules[${at}]`,
    description,
  }));
}
