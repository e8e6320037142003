import { create } from "@bufbuild/protobuf";
import { soundParts } from "../../../../../services/shared/flow/runs/sound-spec.js";
import { RunSpecSchema } from "../../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { specOf } from "../../../../support/runs/run-spec.js";

describe("soundParts()", () => {
  it("leaves a valid spec as it is", () => {
    const given = specOf({ seed: 3 });
    const { spec, broken, isSound } = soundParts(given);
    expect(spec).toEqual(given);
    expect(broken).toEqual([]);
    expect(isSound("teachers[0].model")).toBe(true);
  });

  it("puts the default in the place of what breaks a rule, and keeps the rest of it", () => {
    const phases = [{ steps: 5, batchSize: 1e6, objective: { beta: 7, signal: "top_k" } }];
    const given = specOf({ phases, evaluation: { holdOut: 3, temperatures: [1, -1] } });
    const { spec } = soundParts(given);
    expect(spec.phases).toMatchObject([{ steps: 5, batchSize: 0, objective: { signal: "top_k" } }]);
    expect(spec.phases[0]?.objective?.beta).toBeUndefined();
    expect(spec.evaluation).toMatchObject({ holdOut: 3, temperatures: [] });
    expect(given.phases[0]).toMatchObject({ batchSize: 1e6, objective: { beta: 7 } });
  });

  it("leaves out lists that are too long as a whole, so that nothing works through them", () => {
    const { spec, broken } = soundParts(specOf({ teachers: Array.from({ length: 65 }, (_, i) => ({ name: `t${i}`, model: "/t" })) }));
    expect(spec.teachers).toEqual([]);
    expect(broken).toMatchObject([{ fieldPath: "teachers" }]);
  });

  it("has a student and data where none is given", () => {
    const { spec, broken } = soundParts(create(RunSpecSchema));
    expect([spec.student.model, spec.data.path]).toEqual(["", ""]);
    expect(broken.map(({ fieldPath }) => fieldPath)).toEqual(expect.arrayContaining(["name", "student", "data", "phases"]));
  });

  it("knows what is part of what", () => {
    const { isSound, relevant } = soundParts(specOf({ teachers: [{ model: "/a" }, { model: "" }], phases: [{ steps: 0 }] }));
    expect(["teachers[1].model", "teachers[1]", "teachers", "phases[0].steps"].map(isSound)).toEqual([false, false, false, false]);
    expect(["teachers[0].model", "teachers[10].model", "phases[0].lambda", "student"].map(isSound)).toEqual([true, true, true, true]);
    const problems = ["teachers", "teachers[1].model", "phases[0]", "phases[0].steps", "phases[0].stepsize"];
    const found = relevant(problems.map((fieldPath) => ({ fieldPath, description: "is wrong" })));
    expect(found.map(({ fieldPath }) => fieldPath)).toEqual(["teachers", "phases[0]", "phases[0].stepsize"]);
  });
});
