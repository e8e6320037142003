import { type ArchitectureName, architectures } from "../../../../../services/shared/ml/models/architectures/table.js";
import { traitsOf } from "../../../../../services/shared/ml/models/traits.js";

const names = Object.keys(architectures) as ArchitectureName[];

describe("traitsOf()", () => {
  it("has models of its own to name for each family, and a class", () => {
    const families = names.map((name) => architectures[name]);
    expect(new Set(families.map(({ models }) => models)).size).toBe(names.length);
    expect(new Set(families.map(({ className }) => className)).size).toBe(names.length);
  });

  it("finds what the configs of a family may say", () => {
    const scalings = ["linear", "dynamic", "llama3", "yarn", "longrope"];
    expect(traitsOf("mistral")).toMatchObject({ windows: true, rotary: true, scalings, biases: [], tiedByDefault: false });
    expect(traitsOf("llama")).toMatchObject({ windows: false, biases: ["queries, keys, values", "output", "feed-forward"] });
    expect(traitsOf("smollm3")).toMatchObject({ windows: true, tiedByDefault: true });
    expect(traitsOf("qwen2")).toMatchObject({ windows: true, biases: ["queries, keys, values"] });
    expect(traitsOf("seed_oss").biases).toContain("output");
  });
});
