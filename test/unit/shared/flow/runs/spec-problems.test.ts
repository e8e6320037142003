import { type Problem, RetortError } from "../../../../../services/shared/base/errors.js";
import { checkMessage } from "../../../../../services/shared/base/rpc/check-message.js";
import { parseSpec, parseSpecFile } from "../../../../../services/shared/flow/runs/spec.js";
import { RunSpecSchema } from "../../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { specOf } from "../../../../support/runs/run-spec.js";

const refusal = (work: () => unknown): RetortError => {
  try {
    work();
  } catch (error) {
    if (error instanceof RetortError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

const problemsOf = (text: string): readonly Problem[] => refusal(() => parseSpec(text, "a.yaml")).problems;

describe("parseSpec(), of what is wrong,", () => {
  it.each([
    ["studnet: {}", "studnet", 1, 1, "isn't a field; did you mean student?"],
    ["name: a\nphases:\n  - stesp: 3", "phases[0].stesp", 3, 5, "isn't a field; did you mean steps?"],
    ["phases:\n  - learningRate: 3", "phases[0].learningRate", 2, 5, "isn't a field here; did you mean phases[0].optimizer.learningRate?"],
    ["maxStaleness: 3", "maxStaleness", 1, 1, "isn't a field here; did you mean rollouts.maxStaleness?"],
    ["phases:\n  - lambda: half", "phases[0].lambda", 2, 13, "is text; it must be a number in [0, 1]"],
    ["phases: [{ steps: 1.5 }]", "phases[0].steps", 1, 19, "is 1.5; it must be a whole number in [1, 100000000]"],
    ["seed: -1", "seed", 1, 7, "is -1; it must be a whole number from 0 on"],
    ["phases: { steps: 3 }", "phases", 1, 9, "is a map of fields; it must be a list, each item a map of fields"],
    ["phases: [3]", "phases[0]", 1, 10, "is 3; it must be a map of fields"],
    ["data:\n  chat: maybe", "data.chat", 2, 9, "is text; it must be true or false"],
    ["output: [a]", "output", 1, 9, "is a list; it must be text"],
    ["<<: { name: a }", "<<", 1, 1, "is a merge key, which isn't read; write its fields out, or name the whole map by an alias"],
    ["vocabSize: 3\nvocab_size: 3", "vocabSize", 2, 1, "is given twice, as vocabSize and vocab_size; keep one"],
    ["x: &p { stpes: 1 }\nphases: [*p]", "phases[0].stpes", 1, 9, "isn't a field; did you mean steps?"],
  ])("names the place, the field and the way out: %j", (text, fieldPath, line, column, description) => {
    expect(problemsOf(text)).toContainEqual(expect.objectContaining({ fieldPath, description, place: { file: "a.yaml", line, column } }));
  });

  it("tells everything at once, with the rules that the rest breaks, and nothing that follows from what it couldn't read", () => {
    const text = "name: A b\nstudnet: { model: s }\ndata: { path: d, limt: 3 }\nphases:\n  - preset: on_polcy_kd\n    steps: many\n";
    const found = problemsOf(text).map(({ fieldPath, place, suggestion }) => [fieldPath, place?.line, suggestion]);
    expect(found).toEqual([
      ["studnet", 2, "student"],
      ["data.limt", 3, "limit"],
      ["phases[0].steps", 6, undefined],
      ["name", 1, undefined],
      ["phases[0].preset", 5, "on_policy_kd"],
    ]);
    expect(refusal(() => parseSpec(text, "a.yaml")).message).toContain(
      '\n  - a.yaml:5:13: phases[0].preset: is "on_polcy_kd"; did you mean on_policy_kd?',
    );
  });

  it("names every fault of the YAML", () => {
    expect(problemsOf("a: 1\nb: 2\na: 3\nb: 4\n").map(({ place }) => place)).toEqual([
      { file: "a.yaml", line: 3, column: 1 },
      { file: "a.yaml", line: 4, column: 1 },
    ]);
  });

  it("takes names as the proto has them", () => {
    expect(parseSpec("vocab_size: 3\nphases: [{ batch_size: 4 }]", "a.yaml")).toMatchObject({ vocabSize: 3, phases: [{ batchSize: 4 }] });
  });
});

describe("located()", () => {
  it("finds fields in the file by their camelCase paths, or what they would be part of", () => {
    const { located } = parseSpecFile("name: a\nphases:\n  - steps: 3\n    batch_size: 4\n", "a.yaml");
    const lines = (...paths: string[]) =>
      located(paths.map((fieldPath) => ({ fieldPath, description: "is wrong" }))).map(({ place }) => place?.line);
    expect(lines("name", "phases[0].steps", "phases[0].batchSize", "phases[0].objective.beta", "student", "")).toEqual([1, 3, 4, 3, 1, 1]);
  });
});

describe("checkMessage(), of a closed set,", () => {
  const said = (preset: string) => refusal(() => checkMessage(RunSpecSchema, specOf({ phases: [{ preset, steps: 1 }] }))).problems;
  it("names what was meant, in gRPC's violations too", () => {
    expect(said("seqkd")).toEqual([
      { fieldPath: "phases[0].preset", description: 'is "seqkd"; did you mean seq_kd?', suggestion: "seq_kd" },
    ]);
  });
  it("names the set where nothing is near, and doesn't quote what stands there", () => {
    const [problem] = said("hunter2");
    expect(problem?.description).toMatch(/^must be one of context_distillation, f_distill, .*supervised_kd$/);
    expect(problem).not.toHaveProperty("suggestion");
  });
});
