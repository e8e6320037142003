import { create } from "@bufbuild/protobuf";
import { type Checker, checkFile } from "../../../../services/cli/runs/checker.js";
import { readSpecFile } from "../../../../services/shared/flow/runs/spec.js";
import { ValidateRunResponseSchema } from "../../../../services/shared/gen/retort/v1/controller_pb.js";
import type { RunSpec } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const text = "name: a\nstudent: { model: /m }\nphases:\n  - presett: on_policy_kd\n    batchSize: 4\n";

/** A checker that says this of every spec that it is asked about. */
const saying = (problems: Record<string, string>, asked: RunSpec[] = []): Pick<Checker, "controller"> => {
  const said = Object.entries(problems).map(([field, message]) => ({ field, message }));
  const validateRun = async ({ spec }: { spec: RunSpec }) => {
    asked.push(spec);
    return create(ValidateRunResponseSchema, { problems: said });
  };
  return { controller: { validateRun } as unknown as Checker["controller"] };
};

describe("checkFile()", () => {
  it("says at once what can't be read and what the controller finds, in the order of lines", async () => {
    const asked: RunSpec[] = [];
    const found = { "phases[0].batchSize": "is odd", "student.model": "is not there", "phases[0].preset": "follows from a name" };
    const { problems } = await checkFile(saying(found, asked), readSpecFile(text, "run.yaml"));
    expect(problems.map(({ fieldPath, place }) => [fieldPath, place?.line])).toEqual([
      ["student.model", 2],
      ["phases[0].presett", 4],
      ["phases[0].batchSize", 5],
    ]);
    // Of what can be read.
    expect(asked.map(({ phases }) => phases[0]?.batchSize)).toEqual([4]);
  });

  it("is silent where nothing is wrong", async () => {
    expect(await checkFile(saying({}), readSpecFile(text.replace("presett", "preset"), "run.yaml"))).toEqual({
      problems: [],
      warnings: [],
    });
  });
});
