import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "@jest/globals";
import { dtypeProblems } from "../../../../services/controller/check/dtype-problems.js";
import { RunSpecSchema, type RunSpecValid } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

/** @param student what a spec says of it besides @param model undefined where it could not be read */
const problems = (role: string, dtype: string, student = {}, model?: { readonly adapted: boolean }) =>
  dtypeProblems(create(RunSpecSchema, { student, roles: { [role]: { dtype } } }) as RunSpecValid, model).map(({ fieldPath }) => fieldPath);
const whole = { adapted: false };

describe("dtypeProblems()", () => {
  it.each([
    ["student", "int8"],
    ["learner", "int8"],
    ["learner", "bfloat16"],
    ["reward", "float16"],
  ])("refuses a %s in %s", (role, dtype) => {
    expect(problems(role, dtype, {}, whole)).toEqual([`roles.${role}.dtype`]);
  });

  it.each([
    ["teacher", "int8"],
    ["teacher", "bfloat16"],
    ["student", "float16"],
    ["learner", "float32"],
  ])("lets a %s have %s", (role, dtype) => {
    expect(problems(role, dtype, {}, whole)).toEqual([]);
  });

  it.each(["bfloat16", "float16"])("lets a learner hold the base of an adapter in %s, a new one or the student's own", (dtype) => {
    expect(problems("learner", dtype, { lora: {} }, whole)).toEqual([]);
    expect(problems("learner", dtype, {}, { adapted: true })).toEqual([]);
    expect(problems("learner", dtype, {})).toEqual([]);
  });

  it("refuses a learner in int8 whatever it trains", () => {
    expect(problems("learner", "int8", { lora: {} }, whole)).toEqual(["roles.learner.dtype"]);
  });
});
