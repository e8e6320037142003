import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Ajv, type ErrorObject } from "ajv";
import { RetortError } from "../../../services/shared/base/errors.js";
import { parseYaml } from "../../../services/shared/base/yaml.js";
import { soundParts } from "../../../services/shared/flow/runs/sound-spec.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";

interface Part {
  readonly properties: object;
}

const root = resolve("deploy/examples");
const file = join(root, "run-spec.schema.json");
const schema = JSON.parse(readFileSync(file, "utf8")) as Part & { readonly definitions: Readonly<Record<string, Part>> };
const ajv = new Ajv({ allErrors: true });
const validate = ajv.compile(schema);

/** What the schema says of a spec: where it is wrong. */
function schemaErrors(spec: unknown): string[] {
  validate(spec);
  return (validate.errors ?? []).map(({ instancePath, params }: ErrorObject) =>
    `${instancePath} ${Object.values(params).join(" ")}`.trim(),
  );
}

/** Whether Retort itself reads a spec, and finds no rule of the protos broken. */
function isRead(spec: unknown): boolean {
  try {
    return soundParts(parseSpec(JSON.stringify(spec), "/spec.yaml")).broken.length === 0;
  } catch (error) {
    if (RetortError.from(error).code === "InvalidArgument") return false;
    throw error;
  }
}

const right = {
  name: "right",
  student: { model: "student" },
  teachers: [{ model: "teacher", server: { url: "https://host:8000/v1", dialect: "vllm" } }],
  data: { path: "rows.jsonl", chatTemplateKwargs: { enable_thinking: false, any: [1, { thing: null }] } },
  phases: [{ steps: 10, preset: "gkd", lambda: 0.5, sampling: { temperature: 0, maxNewTokens: 16 }, optimizer: { learningRate: 1e-4 } }],
  evaluation: { path: "rows.jsonl", passAt: [1, 4], samplesPerPrompt: 4, temperatures: [0.5, 1] },
};
const phase = (fields: object) => ({ ...right, phases: [{ ...right.phases[0], ...fields }] });
const init = { architecture: "llama", hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1 };
const without = (object: object, name: string) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));

describe("run-spec.schema.json", () => {
  const examples = (readdirSync(root, { recursive: true }) as string[]).filter(
    (name) => name.endsWith(".yaml") && !/^(values|nats)\//.test(name),
  );

  it.each(examples)("accepts %s, whose editor is told of it", (name) => {
    const text = readFileSync(join(root, name), "utf8");
    expect(schemaErrors(parseYaml(text, name))).toEqual([]);
    const [, named = ""] = /^# yaml-language-server: \$schema=(\S+)$/m.exec(text) ?? [];
    expect(resolve(dirname(join(root, name)), named)).toBe(file);
  });

  it.each<[string, object]>([
    ["every part", right],
    ["a student from scratch", { ...right, student: { init } }],
    ["an adapter", { ...right, student: { model: "student", lora: { targetModules: ["all-linear"] } } }],
    ["rows that are held out", { ...right, evaluation: { holdOut: 10 } }],
    ["texts of a teacher", { ...right, data: { generate: { texts: 10 } } }],
    ["the lowest temperature", phase({ sampling: { temperature: 0.001 } })],
    ["the largest seed", { ...right, seed: 2 ** 32 - 1 }],
  ])("accepts what is read: %s", (_, spec) => {
    expect([schemaErrors(spec), isRead(spec)]).toEqual([[], true]);
  });

  it.each<[string, object, RegExp]>([
    ["an unknown name", { ...right, stepz: 1 }, /^stepz$/],
    ["an unknown name deep within", phase({ optimizer: { learningrate: 1 } }), /^\/phases\/0\/optimizer learningrate$/],
    ["a name of another place", { ...right, lambda: 1 }, /^lambda$/],
    ["no name", without(right, "name"), /^name$/],
    ["no student", without(right, "student"), /^student$/],
    ["no data", without(right, "data"), /^data$/],
    ["no phases", without(right, "phases"), /^phases$/],
    ["an empty list of phases", { ...right, phases: [] }, /^\/phases 1$/],
    ["a phase without steps", { ...right, phases: [{}] }, /^\/phases\/0 steps$/],
    ["a teacher without a model", { ...right, teachers: [{ name: "one" }] }, /^\/teachers\/0 model$/],
    ["a reward of no kind", { ...right, rewards: [{ weight: 1 }] }, /^\/rewards\/0 kind$/],
    ["text for a number", phase({ steps: "many" }), /^\/phases\/0\/steps integer$/],
    ["a number for text", { ...right, name: 3 }, /^\/name string$/],
    ["a fraction of a step", phase({ steps: 1.5 }), /^\/phases\/0\/steps integer$/],
    ["a map for a list", { ...right, phases: right.phases[0] }, /^\/phases array$/],
    ["a list for a map", { ...right, student: [right.student] }, /^\/student object$/],
    ["a number beyond its bounds", phase({ lambda: 1.01 }), /^\/phases\/0\/lambda <= 1$/],
    ["a number at a bound that isn't among them", phase({ optimizer: { learningRate: 0 } }), /learningRate > 0$/],
    ["a negative count", phase({ batchSize: -1 }), /^\/phases\/0\/batchSize >= 0$/],
    ["a seed that no uint32 holds", { ...right, seed: 2 ** 32 }, /^\/seed <= 4294967295$/],
    ["a value that a closed set hasn't", phase({ preset: "on_policy" }), /^\/phases\/0\/preset .*on_policy_kd/],
    ["a name of another form", { ...right, name: "Not a stem" }, /^\/name \^/],
    ["a file name without end", { ...right, output: "x".repeat(4097) }, /^\/output 4096$/],
    ["the same k twice", { ...right, evaluation: { ...right.evaluation, passAt: [1, 1] } }, /^\/evaluation\/passAt /],
    ["a temperature that is nearly 0", phase({ sampling: { temperature: 0.0001 } }), /^\/phases\/0\/sampling\/temperature/],
    ["two students", { ...right, student: { model: "student", init } }, /^\/student /],
    ["no model of the student", { ...right, student: {} }, /^\/student model$/],
    ["an adapter on nothing", { ...right, student: { init, lora: {} } }, /^\/student/],
    ["all layers and others", { ...right, student: { model: "m", lora: { targetModules: ["all-linear", "q_proj"] } } }, /targetModules 1$/],
    ["no rows", { ...right, data: { promptField: "question" } }, /^\/data path$/],
    ["two kinds of held-out rows", { ...right, evaluation: { path: "rows.jsonl", holdOut: 1 } }, /^\/evaluation /],
    ["no held-out rows", { ...right, evaluation: { limit: 1 } }, /^\/evaluation path$/],
    ["a server without an address", { ...right, teachers: [{ model: "m", server: {} }] }, /^\/teachers\/0\/server url$/],
  ])("refuses what isn't read, by its place: %s", (_, spec, place) => {
    expect(isRead(spec)).toBe(false);
    expect(schemaErrors(spec)).toEqual(expect.arrayContaining([expect.stringMatching(place)]));
  });

  it("knows the type of every field, and no other field", () => {
    const { definitions } = schema;
    for (const [name, { properties }] of Object.entries({ ...definitions, RunSpec: schema })) {
      const part = name in definitions ? ajv.compile({ $ref: `#/definitions/${name}`, definitions }) : validate;
      const errorsAt = (field: string, value: unknown) => {
        part({ [field]: value });
        return (part.errors ?? []).map(({ instancePath, params }) => instancePath || `/${params.additionalProperty}`);
      };
      for (const field of Object.keys(properties)) {
        // No field is read from all of these.
        const wrong = [null, "…", -1, true, [[]]].filter((value) => errorsAt(field, value).some((at) => at.startsWith(`/${field}`)));
        expect({ name, field, wrong: wrong.length >= 3 }).toEqual({ name, field, wrong: true });
        expect(errorsAt(`${field}s_`, null)).toContain(`/${field}s_`);
      }
    }
  });
});
