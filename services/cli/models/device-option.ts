import { Option } from "commander";
import { weightDtypes } from "../../shared/ml/models/precision/weight-dtypes.js";
import { devices } from "../../shared/ml/runtime/device.js";

/** `--dtype`, for a command that runs a model. @param description what happens with it */
export const dtypeOption = (description = "what the weights are held in (default: as the checkpoint has them)"): Option =>
  new Option("--dtype <dtype>", description).choices(weightDtypes);

/** `--device`, for a command that runs a model. @param description what happens there */
export const deviceOption = (description = "where the model runs"): Option =>
  new Option("--device <device>", description).choices(devices).default("cpu");
