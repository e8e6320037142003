import { create } from "@bufbuild/protobuf";
import { probeOf } from "../../../../services/cli/plan/probe-spec.js";
import { planStep } from "../../../../services/shared/flow/prompts/plan.js";
import { resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import { GenerateSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { checkSpec } from "../../../support/runs/check-spec.js";
import { specOf } from "../../../support/runs/run-spec.js";

const probe = (fields: Parameters<typeof specOf>[0]) => probeOf(specOf(fields), "/scratch/student");

describe("probeOf()", () => {
  it("measures two steps, with as many around them as students run ahead", () => {
    const { spec, legs } = probe({ phases: [{ preset: "on_policy_kd", steps: 400, batchSize: 64 }], rollouts: { maxStaleness: 3 } });
    expect(legs).toEqual([{ phase: 0, onPolicy: true, share: 1, measured: [5, 6] }]);
    expect(resolveRun(spec)).toMatchObject({ totalSteps: 9, maxStaleness: 3, phases: [{ batchSize: 64, lambda: 1, lambdaEnd: 1 }] });
    expect(probe({ phases: [{ steps: 1, lambda: 1 }], rollouts: { maxStaleness: 0 } }).legs[0]!.measured).toEqual([2, 3]);
  });

  it("measures steps on the student's samples and on the dataset's texts apart, by lambda's share of each", () => {
    const phases = [
      { preset: "sft", steps: 10 },
      { steps: 100, lambda: 0.25, lambdaEnd: 0.75, batchSize: 8 },
      { steps: 100, lambda: 0.1, batchSize: 4 },
    ];
    const { spec, legs } = probe({ phases });
    expect(legs.map(({ phase, onPolicy, share }) => [phase, onPolicy, share])).toEqual([
      [0, false, 1],
      [1, true, 0.5],
      [1, false, 0.5],
      [2, true, 0.1],
      [2, false, 0.9],
    ]);
    const run = resolveRun(spec);
    // Every measured step is of the phase and of the kind that its leg says.
    for (const { phase, onPolicy, measured } of legs)
      for (const step of measured) {
        const plan = planStep(run, { count: 10 }, step);
        expect([plan.onPolicy, plan.phase.batchSize]).toEqual([onPolicy, [32, 8, 4][phase]]);
      }
  });

  it("is a spec that can run wherever the other can", () => {
    const evaluation = { path: "/held-out.jsonl", limit: 1000, everySteps: 10, keepBest: "sampled", samplesPerPrompt: 4, passAt: [4] };
    const phases = [{ preset: "gkd", steps: 400, lambda: 0.5 }];
    expect(checkSpec(probe({ phases, evaluation, checkpoints: { everySteps: 10 } }).spec)).toEqual([]);
  });

  it("evaluates before and after, on fewer rows, and keeps no checkpoints", () => {
    const evaluation = { path: "/held-out.jsonl", limit: 1000, everySteps: 10, keepBest: "sampled" };
    const { spec } = probe({ phases: [{ steps: 400, batchSize: 64 }], evaluation });
    expect(spec).toMatchObject({
      evaluation: { limit: 64, everySteps: 0, keepBest: "" },
      checkpoints: { keep: 1, everySeconds: 0 },
      output: "/scratch/student",
    });
    expect(probe({ evaluation: { holdOut: 500 } }).spec.evaluation).toMatchObject({ holdOut: 32, limit: 0 });
  });

  it("has a teacher write fewer texts, and says how many", () => {
    const generate = create(GenerateSpecSchema, { texts: 5000 });
    expect(probe({ data: { generate }, evaluation: { holdOut: 100 } })).toMatchObject({
      texts: 64,
      spec: { data: { generate: { texts: 64 } } },
    });
    expect(probe({ data: { path: "/rows.jsonl", generate: {}, limit: 20 } })).toMatchObject({ texts: 20, spec: { data: { limit: 20 } } });
    expect(probe({}).texts).toBe(0);
  });

  it("leaves the spec as it is", () => {
    const given = specOf({ evaluation: { path: "/held-out.jsonl", limit: 1000 }, phases: [{ steps: 400 }] });
    const before = JSON.stringify(given, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    probeOf(given, "/scratch");
    expect(JSON.stringify(given, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))).toBe(before);
  });
});
