import { experimentNames } from "../../../../services/cli/reproduce/command.js";
import { experiments } from "../../../../services/reproduce/experiments/table.js";

describe("experimentNames", () => {
  it("are those of the table, which the help does not load", () => {
    expect(experimentNames).toEqual(Object.keys(experiments));
  });
});
