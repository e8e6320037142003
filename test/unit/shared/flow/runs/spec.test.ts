import { parseSpec } from "../../../../../services/shared/flow/runs/spec.js";

describe("parseSpec()", () => {
  it("takes paths from where the file is, and leaves absolute ones", () => {
    const spec = parseSpec(
      "name: a\nstudent: { model: ../s }\nteachers: [{ model: /t }]\ndata: { path: d.jsonl }\noutput: out\n",
      "/specs/deep/a.yaml",
    );
    expect([spec.student!.model, spec.teachers[0]!.model, spec.data!.path, spec.output]).toEqual([
      "/specs/s",
      "/t",
      "/specs/deep/d.jsonl",
      "/specs/deep/out",
    ]);
  });

  it.each([
    ["a field that does not exist", "name: a\nstudnet: {}\n", /a\.yaml.*studnet/],
    ["a nested one", "phases: [{ steps: 1, objective: { betta: 1 } }]\n", /a\.yaml.*betta/],
    ["a number as a word", "phases: [{ steps: many }]\n", /a\.yaml.*steps/],
    ["a negative number where there can be none", "phases: [{ steps: -1 }]\n", /a\.yaml.*steps/],
    ["no YAML", "a: [", /a\.yaml is not YAML/],
    ["a list", "- name: a\n", /a\.yaml/],
    ["nothing", "", /a\.yaml/],
  ])("names the file and what is wrong: %s", (_, text, message) => {
    expect(() => parseSpec(text, "a.yaml")).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });
});
