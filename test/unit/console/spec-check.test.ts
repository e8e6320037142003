import { create } from "@bufbuild/protobuf";
import { checkSpecText } from "../../../services/console/model/spec-check.js";
import type { Answers } from "../../../services/console/source/source.js";
import { ProblemSchema } from "../../../services/shared/gen/retort/v1/controller_pb.js";

const text = "name: a\nstudent: { model: /m }\nphases:\n  - preset: on_policy_kd\n    batch_size: 4\n";
const never = () => Promise.reject(new Error("the controller was asked"));
const said = (problems: [string, string][], warnings: [string, string][] = []) => {
  const list = (all: [string, string][]) => all.map(([field, message]) => create(ProblemSchema, { field, message }));
  return async (): Promise<Answers> => ({ problems: list(problems), warnings: list(warnings) });
};

describe("checkSpecText()", () => {
  it("names what can't be read by its line, with what is wrong beside it and doesn't follow from it", async () => {
    const answers = said([
      ["phases[0].preset", "is missing"],
      ["phases[0].batchSize", "is odd"],
      ["teachers", "is empty"],
    ]);
    const { remarks, spec } = await checkSpecText(text.replace("preset", "presett"), answers);
    expect(spec).toBeUndefined();
    expect(remarks).toEqual([
      { kind: "problem", line: 4, field: "phases[0].presett", message: expect.stringContaining("preset") },
      { kind: "problem", line: 5, field: "phases[0].batchSize", message: "is odd" },
    ]);
  });

  it.each([
    ["name: [a\n", 2],
    ["name: a\nname: b\n", 2],
    ["", undefined],
  ])("names a fault of the YAML: %j", async (broken, line) => {
    const { remarks } = await checkSpecText(broken, never);
    expect(remarks).toEqual([expect.objectContaining({ kind: "problem", line })]);
  });

  it("places what the controller says, whichever way a name is written", async () => {
    const answers = said(
      [
        ["teachers", "is empty"],
        ["phases[0].batchSize", "is odd"],
      ],
      [["student.model", "is unusual"]],
    );
    const { remarks, spec } = await checkSpecText(text, answers);
    expect(spec).toBeUndefined();
    expect(remarks.map(({ kind, line, field }) => [kind, line, field])).toEqual([
      ["problem", 1, "teachers"],
      ["problem", 5, "phases[0].batchSize"],
      ["warning", 2, "student.model"],
    ]);
  });

  it("returns the spec where nothing is wrong", async () => {
    const { remarks, spec } = await checkSpecText(text, said([], [["name", "is short"]]));
    expect([spec?.phases[0]?.batchSize, remarks.length]).toEqual([4, 1]);
  });
});
