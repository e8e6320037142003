import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "@jest/globals";
import { dtypeProblems } from "../../../../services/controller/check/dtype-problems.js";
import { RunSpecSchema, type RunSpecValid } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const problems = (role: string, dtype: string) =>
  dtypeProblems(create(RunSpecSchema, { roles: { [role]: { dtype } } }) as RunSpecValid).map(({ fieldPath }) => fieldPath);

describe("dtypeProblems()", () => {
  it.each([
    ["student", "int8"],
    ["learner", "int8"],
    ["learner", "bfloat16"],
    ["reward", "float16"],
  ])("refuses a %s in %s", (role, dtype) => {
    expect(problems(role, dtype)).toEqual([`roles.${role}.dtype`]);
  });

  it.each([
    ["teacher", "int8"],
    ["teacher", "bfloat16"],
    ["student", "float16"],
    ["learner", "float32"],
  ])("lets a %s have %s", (role, dtype) => {
    expect(problems(role, dtype)).toEqual([]);
  });
});
