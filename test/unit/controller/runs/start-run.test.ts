import { create, type JsonObject } from "@bufbuild/protobuf";
import { digestOf } from "../../../../services/controller/runs/start-run.js";
import { RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";

const of = (chatTemplateKwargs: JsonObject, seed = 1) =>
  digestOf(create(RunSpecSchema, { name: "r", seed, data: { path: "d", chatTemplateKwargs } }));

describe("digestOf()", () => {
  const digest = of({ b: 1, a: ["x", { d: 1, c: 2 }] });

  it("is the same in whatever order maps have their keys", () => {
    expect(of({ a: ["x", { c: 2, d: 1 }], b: 1 })).toBe(digest);
  });

  it.each([
    ["a key", { b: 1, a: ["x", { d: 1, e: 2 }] }],
    ["a value", { b: 1, a: ["x", { d: 1, c: 3 }] }],
    ["the order of a list", { b: 1, a: [{ d: 1, c: 2 }, "x"] }],
    ["a type", { b: "1", a: ["x", { d: 1, c: 2 }] }],
  ])("is another one where %s differs", (_, kwargs) => {
    expect(of(kwargs)).not.toBe(digest);
  });

  it("is another one for another seed", () => {
    expect(of({}, 2)).not.toBe(digest);
  });

  it("tells a field that is absent from one that is set to its default", () => {
    const sampling = (given: { topP?: number }) => digestOf(create(RunSpecSchema, { phases: [{ sampling: given }] }));
    expect(sampling({ topP: 1 })).not.toBe(sampling({}));
  });
});
