import { Option } from "commander";
import { devices } from "../../shared/ml/runtime/device.js";

/** `--dtype`, for a command that runs a model. @param description what happens with it */
export const dtypeOption = (description = "what the weights are held in (default: as the checkpoint has them)"): Option =>
  new Option("--dtype <dtype>", description).choices(["float32", "float16", "bfloat16", "int8"]);

/** `--device`, for a command that runs a model. @param description what happens there */
export const deviceOption = (description = "where the model runs"): Option =>
  new Option("--device <device>", description).choices(devices).default("cpu");
