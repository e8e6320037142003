import { create, toBinary } from "@bufbuild/protobuf";
import { ExampleBudget } from "../../../../services/learner/evaluation/example-budget.js";
import { recordedRows } from "../../../../services/shared/flow/prompts/plan.js";
import { EvaluationFinishedSchema } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { runOf } from "../../../support/runs/run-spec.js";

const examples = (count: number, characters = 100) =>
  Array.from({ length: count }, (_, row) => ({ row, prompt: `prompt ${row}`, completion: "x".repeat(characters) }));

function budget(mostBytes: number, bytes?: number) {
  const warnings: string[] = [];
  const admit = new ExampleBudget({ mostBytes, warning: async (message) => void warnings.push(message) }, bytes);
  return { admit, warnings };
}

describe("ExampleBudget", () => {
  it("keeps all where there is room", async () => {
    const { admit, warnings } = budget(1e6);
    expect(await admit.admit(0, { examples: examples(16) })).toEqual(examples(16));
    expect(warnings).toEqual([]);
  });

  it("never lets an event become larger than it may be, and keeps what fits", async () => {
    for (const mostBytes of [300, 1000, 2001]) {
      const { admit, warnings } = budget(mostBytes);
      const figures = { version: 5, greedy: 0.5, failure: "a reason", examples: [...examples(9), ...examples(1, 1e5), ...examples(9)] };
      const kept = await admit.admit(5, figures);
      expect(
        toBinary(EvaluationFinishedSchema, create(EvaluationFinishedSchema, { ...figures, examples: kept })).length,
      ).toBeLessThanOrEqual(mostBytes);
      expect(kept.length).toBeGreaterThan(0);
      expect(warnings).toEqual([expect.stringMatching(/^the evaluation of version 5 .* lower tracking\.examples/)]);
    }
  });

  it("stops at the budget of the run", async () => {
    const { admit } = budget(1e6, 1000);
    const first = await admit.admit(0, { examples: examples(5) });
    const second = await admit.admit(1, { examples: examples(5) });
    expect([first.length, second.length > 0 && second.length < 5]).toEqual([5, true]);
  });
});

describe("recordedRows()", () => {
  const rows = (count: number, given?: number, seed = 1) =>
    recordedRows(runOf([{ steps: 1 }], { seed, tracking: { examples: given } }), count);

  it("are the same for every seed, so that runs can be read side by side", () => {
    expect(rows(400)).toEqual(rows(400, undefined, 2));
    expect(rows(400)).toHaveLength(16);
    expect(rows(400)).not.toEqual(Array.from({ length: 16 }, (_, i) => i));
  });

  it("of fewer examples are among those of more", () => {
    expect(rows(400, 16)).toEqual(expect.arrayContaining(rows(400, 5)));
    expect([rows(400, 0), rows(3)]).toEqual([[], [0, 1, 2]]);
  });
});
