import { create } from "@bufbuild/protobuf";
import { fetchesOf } from "../../../../services/controller/launch/fetches-of.js";
import { parseSpec } from "../../../../services/shared/flow/runs/spec.js";
import { RunSchema } from "../../../../services/shared/gen/retort/v1/run_pb.js";

const places = ["student", "math", "code", "tokenizer", "judge", "rows"].map((name) => ({
  reference: `hf://org/${name}@1`,
  path: `/cache/${name}`,
}));
const run = (student: string) =>
  create(RunSchema, {
    fetched: places,
    spec: parseSpec(
      `
name: x
student: ${student}
teachers:
  - { name: math, model: /cache/math, ensemble: [{ model: /models/own }, { model: /cache/code }] }
  - { name: far, model: /cache/tokenizer, server: { url: "http://far:8000/v1" } }
data: { path: /cache/rows }
rewards: [{ kind: exact_match }, { kind: classifier, model: /cache/judge, label: good }]
phases: [{ steps: 1 }]`,
      "spec.yaml",
    ),
  });

describe("fetchesOf()", () => {
  const read = run("{ model: /cache/student }");
  const names = (role: "learner" | "reward" | "student" | "teacher", teacher?: string, of = read) =>
    fetchesOf(of, { role, ...(teacher && { teacher }) }).map(({ reference, withoutWeights }) => [reference, withoutWeights]);

  it("names for each role what it reads, and no more", () => {
    expect(names("learner")).toEqual([
      ["hf://org/student@1", false],
      ["hf://org/rows@1", false],
    ]);
    expect(names("reward")).toEqual([["hf://org/judge@1", false]]);
    expect(names("student")).toEqual([]);
    expect(names("teacher", "math")).toEqual([
      ["hf://org/math@1", false],
      ["hf://org/code@1", false],
    ]);
  });

  it("leaves the weights where a server has them, and where the tokenizer alone is taken", () => {
    expect(names("teacher", "far")).toEqual([["hf://org/tokenizer@1", true]]);
    const fresh = run("{ init: { architecture: llama, hiddenSize: 64, layers: 2, heads: 2 } }");
    expect(names("learner", undefined, fresh)).toEqual([
      ["hf://org/rows@1", false],
      ["hf://org/math@1", true],
    ]);
  });

  it("names nothing for a run whose spec named paths", () => {
    expect(names("learner", undefined, create(RunSchema, { ...read, fetched: [] }))).toEqual([]);
  });
});
