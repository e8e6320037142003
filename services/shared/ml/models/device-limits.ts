import { RetortError } from "../../base/errors.js";
import type { Device } from "../runtime/session.js";
import type { ArchitectureName } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";

/** The families whose models have experts. Of one on a GPU, scoring did not come back where it was tried. */
const families: ReadonlySet<string> = new Set<ArchitectureName>(["mixtral", "qwen3_moe"]);

/** Why models of a family are known not to compute on a device, with the way out; undefined if nothing is known against it. */
export function deviceProblem({ architecture }: Pick<ModelConfig, "architecture">, device: string): string | undefined {
  if (device === "cpu" || !families.has(architecture)) return undefined;
  return `device ${device} cannot run models of experts (${architecture}) yet: use device cpu, or a model without experts`;
}

/**
 * Refuses a model on a device where it is known not to compute, before its weights are read.
 *
 * @throws FailedPrecondition with {@link deviceProblem}
 */
export function checkOnDevice(config: Pick<ModelConfig, "architecture">, device: Device): void {
  const problem = deviceProblem(config, device);
  if (problem) throw new RetortError("FailedPrecondition", problem, { fieldPath: "device" });
}
