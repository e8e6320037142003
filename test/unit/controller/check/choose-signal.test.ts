import { create } from "@bufbuild/protobuf";
import { chooseSignals } from "../../../../services/controller/check/choose-signal.js";
import { resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import { RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const phases = [
  { steps: 1 },
  { steps: 1, objective: { divergence: "reverse_kl", beta: 0.1 } },
  { steps: 1, objective: { signal: "top_k" } },
  { steps: 1, objective: { signal: "full" } },
  { steps: 1, preset: "opd" },
  { steps: 1, preset: "sft" },
];

const chosen = (vocabSize: number) => {
  const spec = create(RunSpecSchema, { teachers: [{ model: "teacher" }], phases });
  chooseSignals(spec, vocabSize);
  return { named: spec.phases.map(({ objective }) => objective?.signal ?? ""), resolved: resolveRun(spec).phases };
};

describe("chooseSignals()", () => {
  it("asks for whole distributions where they are small", () => {
    expect(chosen(256).named).toEqual(["full", "full", "top_k", "full", "", ""]);
  });

  it("asks for hidden states where they are not, and leaves what was asked for", () => {
    const { named, resolved } = chosen(257);
    expect(named).toEqual(["hidden", "hidden", "top_k", "full", "", ""]);
    expect(resolved.map(({ objective }) => objective.signal)).toEqual(["hidden", "hidden", "top_k", "full", "sampled", "full"]);
    expect(resolved[1]!.objective).toMatchObject({ divergence: "reverse_kl", beta: 0.1 });
  });
});
