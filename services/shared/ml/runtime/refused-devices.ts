import { RetortError } from "../../base/errors.js";
import type { Device } from "./engines/engine.js";

/**
 * Devices that onnxruntime has and Retort refuses, with the reason and the way out. Operators are
 * those of our graphs that onnxruntime 1.30 places on the CPU with its WebGPU provider: of 19 products of a score's graph 17, of 19
 * of a decode step all, of 57 of a train step's 54.
 */
const refused: Readonly<Partial<Record<Device, string>>> = {
  webgpu:
    "onnxruntime's WebGPU provider has no FusedMatMul, LogSoftmax, Sum, Sign or Loop, so nearly every matrix product would be computed on the CPU, with a copy from and to the GPU around it; use device cpu, or cuda",
};

/** Why a device is refused on every machine, with the way out; undefined if it isn't. */
export const refusal = (device: string): string | undefined => refused[device as Device];

/**
 * Refuses a device that is refused on every machine; whether another can be used here, `checkDevice` says.
 *
 * @throws FailedPrecondition with {@link refusal}
 */
export function checkNotRefused(device: string): void {
  const reason = refusal(device);
  if (reason) throw new RetortError("FailedPrecondition", `device ${device} is refused: ${reason}`, { fieldPath: "device" });
}
