import { checkOnDevice } from "../../../../../services/shared/ml/models/device-limits.js";
import { parseConfig } from "../../../../../services/shared/ml/models/parse-config.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";
import { smallT5 } from "../../../../support/models/small-t5.js";
import { config } from "../../../../support/models/written-configs.js";

describe("checkOnDevice()", () => {
  const mixtral = parseConfig(config({ model_type: "mixtral", num_key_value_heads: 4 }));

  it("refuses models of experts on a GPU, naming the device and the way out", () => {
    expect(() => checkOnDevice(mixtral, "cuda")).toThrow(
      "device cuda cannot run models of experts (mixtral) yet: use device cpu, or a model without experts",
    );
  });

  it("passes them on the CPU", () => {
    expect(() => checkOnDevice(mixtral, "cpu")).not.toThrow();
  });

  it("knows by the family's name which models have experts", () => {
    for (const { config } of [...Object.values(smallConfigs).map((raw) => smallModel(raw)), smallT5()]) {
      const refused = expect(() => checkOnDevice(config, "cuda"));
      if (config.experts) refused.toThrow(config.architecture);
      else refused.not.toThrow();
    }
  });
});
