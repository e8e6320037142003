import { checkSpec } from "../../../../support/runs/check-spec.js";
import { specOf } from "../../../../support/runs/run-spec.js";

const scratch = { architecture: "llama", hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1 };
const loraOf = (lora: { r?: number; alpha?: number; targetModules?: string[] }) => ({ student: { model: "/student", lora } });

describe("examineSpec()", () => {
  const none = { teachers: [] };
  const own = { teachers: [{ model: "/a", tokenizer: "own" }] };
  it("finds nothing wrong with a plain spec", () => {
    expect(checkSpec(specOf())).toEqual([]);
  });

  it.each<[string, Parameters<typeof specOf>[0], string, RegExp]>([
    ["no name", { name: "" }, "name", /./],
    ["a name that no subject can carry", { name: "a.b" }, "name", /./],
    ["no student", { student: {} }, "student", /model.*init/],
    [
      "an adapter on a student from scratch",
      { student: { init: scratch, lora: {} } },
      "student",
      /`lora` adapts a model that has been trained/,
    ],
    ["all linear layers and others", loraOf({ targetModules: ["all-linear", "q_proj"] }), "student.lora", /leave the other names/],
    ["a layer twice", loraOf({ targetModules: ["q_proj", "q_proj"] }), "student.lora.targetModules", /unique|repeated|twice|duplicate/],
    ["a rank beyond every layer's", loraOf({ r: 5000 }), "student.lora.r", /4096/],
    ["an adapter of no weight", loraOf({ alpha: 0 }), "student.lora.alpha", /0/],
    ["no phase", { phases: [] }, "phases", /./],
    ["a phase of no steps", { phases: [{ steps: 0 }] }, "phases[0].steps", /1/],
    ["lambda beyond 1", { phases: [{ steps: 1, lambda: 1.5 }] }, "phases[0].lambda", /1/],
    ["a preset that does not exist", { phases: [{ steps: 1, preset: "magic" }] }, "phases[0].preset", /gkd/],
    ["no data", { data: {} }, "data", /path.*generate/],
    ["two teachers of one name", { teachers: [{ model: "/a" }, { model: "/b" }] }, "teachers", /"default".*twice/],
    [
      "a divergence across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "on_policy_kd" }] },
      "phases[0].objective.divergence",
      /is forward_kl, which compares distributions over the same tokens, and the teacher "default" has a tokenizer of its own/,
    ],
    [
      "another signal across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", objective: { signal: "top_k" } }] },
      "phases[0].objective.signal",
      /is top_k, .*use sampled/,
    ],
    [
      "a baseline across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", objective: { klBaseline: true, signal: "sampled" } }] },
      "phases[0].objective.klBaseline",
      /needs a distribution over the student's tokens/,
    ],
    [
      "dataset texts across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", lambda: 0.5 }] },
      "phases[0].lambda",
      /is 0.5, .*use 1/,
    ],
    [
      "texts by a teacher with its own tokenizer",
      { ...own, data: { path: "/d.jsonl", generate: {} }, phases: [{ steps: 1, preset: "opd" }] },
      "data.generate.teacher",
      /is "default", which has a tokenizer of its own/,
    ],
    [
      "the best by a divergence across tokenizers",
      { ...own, evaluation: { path: "/e.jsonl", keepBest: "reverse_kl" }, phases: [{ steps: 1, preset: "opd" }] },
      "evaluation.keepBest",
      /is reverse_kl, .*use teacher_nll/,
    ],
    ["a template that is no Jinja", { teachers: [{ model: "/a", promptTemplate: "{{" }] }, "teachers[0].promptTemplate", /is no Jinja/],
    [
      "a template that reads nothing",
      { teachers: [{ model: "/a", promptTemplate: "x" }] },
      "teachers[0].promptTemplate",
      /same prompt; add \{\{ prompt/,
    ],
    [
      "a teacher's system message and no rows",
      { teachers: [{ model: "/a", system: "s" }], data: { generate: { texts: 1 } } },
      "teachers[0].system",
      /data\.path names none/,
    ],
    [
      "texts behind a prompt that is another teacher's",
      { teachers: [{ model: "/a" }, { name: "b", model: "/b", promptTemplate: "{{ prompt }}" }], data: { path: "/d", generate: {} } },
      "teachers[1].promptTemplate",
      /another teacher's/,
    ],
    ["a divergence and no teacher", none, "phases[0]", /jsd needs a teacher/],
    ["a reward's weight and no reward", { phases: [{ steps: 1, preset: "rl" }] }, "phases[0].objective.alpha", /rewards.*empty/],
    ["likelihood of own samples", { phases: [{ steps: 1, preset: "sft", lambda: 0.5 }] }, "phases[0].lambda", /teaches nothing/],
    ["texts by a teacher that is not there", { data: { generate: { teacher: "x", texts: 1 } } }, "data.generate.teacher", /"x".*default/],
    ["texts without their number", { data: { generate: {} } }, "data.generate.texts", /how many/],
    [
      "texts and no teacher",
      { ...none, data: { generate: { texts: 1 } }, phases: [{ steps: 1, preset: "sft" }] },
      "data.generate",
      /teacher/,
    ],
    [
      "a student from scratch without words",
      {
        ...none,
        student: { init: scratch },
        phases: [{ steps: 1, preset: "sft" }],
      },
      "student.init.tokenizer",
      /tokenizer/,
    ],
  ])("names the field that is at fault: %s", (_, fields, fieldPath, description) => {
    const problems = checkSpec(specOf(fields));
    expect(problems.map((problem) => problem.fieldPath)).toContain(fieldPath);
    expect(problems.find((problem) => problem.fieldPath === fieldPath)!.description).toMatch(description);
  });

  it("lists all problems at once", () => {
    const phases = [{ steps: 1, lambda: 2 }, { steps: 1, preset: "magic" }, { steps: 0 }];
    expect(checkSpec(specOf({ phases })).map(({ fieldPath }) => fieldPath)).toEqual([
      "phases[0].lambda",
      "phases[1].preset",
      "phases[2].steps",
    ]);
  });
});
