import { RetortError } from "../../base/errors.js";
import type { Device } from "../runtime/session.js";
import type { ModelConfig } from "./config/model-config.js";

/**
 * Refuses a model on a device where it is known not to compute, before work starts.
 *
 * @throws FailedPrecondition naming the device and the way out
 */
export function checkOnDevice({ architecture, experts }: Pick<ModelConfig, "architecture" | "experts">, device: Device): void {
  if (!experts || device === "cpu") return;
  throw new RetortError(
    "FailedPrecondition",
    `device ${device} does not run models of experts (${architecture}) yet: scoring did not come back on the one GPU where it was tried; use cpu, or a model without experts`,
    { fieldPath: "device" },
  );
}
