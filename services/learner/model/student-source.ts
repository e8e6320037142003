import { resolveLora } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { freshConfig } from "../../shared/ml/models/fresh-config.js";
import type { StudentSource } from "./open-student.js";

/** Where a run's student comes from. */
export function studentSource({ student, teachers, seed }: RunSpecValid): StudentSource {
  const { init, model } = student;
  const lora = resolveLora(student.lora);
  if (!init) return { directory: model, ...(lora ? { adapter: { ...lora, seed: BigInt(seed) } } : {}) };
  return { config: freshConfig(init), tokenizer: init.tokenizer || teachers[0]!.model, seed: BigInt(seed) };
}
