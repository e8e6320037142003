import type { CheckedRun } from "../../../../services/controller/check/checked-run.js";
import { settled } from "../../../../services/controller/check/settle.js";
import { resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import { soundParts } from "../../../../services/shared/flow/runs/sound-spec.js";
import { specOf } from "../../../support/runs/run-spec.js";

const phases = [
  { steps: 1 },
  { steps: 1, objective: { divergence: "reverse_kl", beta: 0.1 } },
  { steps: 1, objective: { signal: "top_k" } },
  { steps: 1, objective: { signal: "full" } },
  { steps: 1, preset: "opd" },
  { steps: 1, preset: "sft" },
];

/** A run whose student and teacher have so many rows. */
function checked(student: number, teacher = student): CheckedRun {
  const { spec } = soundParts(specOf({ phases }));
  const model = (rows: number) => ({ rows }) as CheckedRun["student"];
  return { spec, run: resolveRun(spec), student: model(student), teachers: [model(teacher)] };
}

const signalsOf = ({ spec, run }: CheckedRun) => ({
  named: spec.phases.map(({ objective }) => objective?.signal ?? ""),
  resolved: run.phases,
});

describe("settled()", () => {
  it("asks for whole distributions where they are small", () => {
    expect(signalsOf(settled(checked(256))).named).toEqual(["full", "full", "top_k", "full", "", ""]);
  });

  it("asks for hidden states where they are not, and leaves what was asked for", () => {
    const { named, resolved } = signalsOf(settled(checked(257)));
    expect(named).toEqual(["hidden", "hidden", "top_k", "full", "", ""]);
    expect(resolved.map(({ objective }) => objective.signal)).toEqual(["hidden", "hidden", "top_k", "full", "sampled", "full"]);
    expect(resolved[1]!.objective).toMatchObject({ divergence: "reverse_kl", beta: 0.1 });
  });

  it("says how many rows distributions range over where models have different ones", () => {
    expect(settled(checked(300, 256)).spec).toMatchObject({
      vocabSize: 256,
      phases: [{ objective: { signal: "full" } }, {}, {}, {}, {}, {}],
    });
    expect(settled(checked(300)).spec.vocabSize).toBe(0);
  });

  it("leaves the run that it is given as it was", () => {
    const given = checked(300, 256);
    settled(given);
    expect(given.spec.vocabSize).toBe(0);
    expect(signalsOf(given).named).toEqual(["", "", "top_k", "full", "", ""]);
  });
});
