import { checkOnDevice } from "../../../../../services/shared/ml/models/device-limits.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";
import { config } from "../../../../support/models/written-configs.js";

describe("checkOnDevice()", () => {
  const mixtral = parseConfig(config({ model_type: "mixtral", num_key_value_heads: 4 }));

  it("refuses models of experts on a GPU, naming the device and the way out", () => {
    expect(() => checkOnDevice(mixtral, "cuda")).toThrow(/device cuda does not run models of experts \(mixtral\) yet.*use cpu/);
  });

  it("passes them on the CPU, and every other model", () => {
    expect(() => checkOnDevice(mixtral, "cpu")).not.toThrow();
    expect(() => checkOnDevice(parseConfig(config({})), "cuda")).not.toThrow();
  });
});
