import { readFileSync } from "node:fs";
import { checkSpec, parseSpec } from "../../../../services/shared/flow/runs/spec.js";

describe("deploy/examples/gsm8k.yaml", () => {
  it("is a spec that the controller takes", () => {
    const file = "deploy/examples/gsm8k.yaml";
    expect(checkSpec(parseSpec(readFileSync(file, "utf8"), file))).toEqual([]);
  });
});
