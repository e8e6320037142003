import { Option } from "commander";
import { devices } from "../../shared/ml/runtime/device.js";

/** `--device`, for a command that runs a model. @param description what happens there */
export const deviceOption = (description = "where the model runs"): Option =>
  new Option("--device <device>", description).choices(devices).default("cpu");
