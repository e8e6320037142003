import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type AnyDesc, create, type DescField } from "@bufbuild/protobuf";
import { buildPath } from "@bufbuild/protobuf/reflect";
import { brokenRules, checkMessage, pathText, textRulesOf } from "../../../../../services/shared/base/rpc/check-message.js";
import { patternWords } from "../../../../../services/shared/base/rpc/pattern-words.js";
import { EvaluationFinishedSchema } from "../../../../../services/shared/gen/retort/v1/events_pb.js";
import { RunSpecSchema } from "../../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { PromptInputSchema, SampleRequestSchema } from "../../../../../services/shared/gen/retort/v1/student_pb.js";

const { field } = EvaluationFinishedSchema;

/** Every field of proto/. */
async function allFields(): Promise<DescField[]> {
  const gen = resolve("dist/services/shared/gen/retort/v1");
  const modules = (await readdir(gen)).filter((name) => name.endsWith("_pb.js")).map((name) => import(join(gen, name)));
  const exported = (await Promise.all(modules)).flatMap((module: object) => Object.values(module) as (AnyDesc | object)[]);
  return exported.flatMap((one) => ("kind" in one && one.kind === "message" ? one.fields : []));
}

describe("pathText()", () => {
  it("is what people write in YAML and JSON", () => {
    const path = buildPath(SampleRequestSchema).field(SampleRequestSchema.field.samplesPerPrompt).toPath();
    expect(pathText(path)).toBe("samplesPerPrompt");
    const nested = buildPath(SampleRequestSchema).field(SampleRequestSchema.field.prompts).list(3).oneof(PromptInputSchema.oneofs[0]!);
    expect(pathText(nested.toPath())).toBe("prompts[3].input");
    expect(pathText([])).toBe("");
  });

  it("quotes the keys of maps", () => {
    const path = buildPath(EvaluationFinishedSchema).field(field.greedyRewardComponents).map('a "b".c').toPath();
    expect(pathText(path)).toBe('greedyRewardComponents["a \\"b\\".c"]');
  });
});

describe("brokenRules()", () => {
  it("names every field, in camelCase, through lists and maps", () => {
    const long = "k".repeat(5000);
    const evaluation = create(EvaluationFinishedSchema, { greedyRewardComponents: { [long]: 1 } });
    expect(brokenRules(EvaluationFinishedSchema, evaluation).map(({ fieldPath }) => fieldPath)).toEqual([
      `greedyRewardComponents["${long}"]`,
    ]);
    const request = create(SampleRequestSchema, { sampling: { topP: 2, maxNewTokens: 2 ** 31 }, samplesPerPrompt: 1e6 });
    expect(brokenRules(SampleRequestSchema, request).map(({ fieldPath }) => fieldPath)).toEqual([
      "prompts",
      "sampling.topP",
      "sampling.maxNewTokens",
      "samplesPerPrompt",
    ]);
  });

  it("says a number that breaks a rule, and no text, which may be another's", () => {
    const request = create(SampleRequestSchema, { prompts: [{ input: { case: "text", value: "a" } }], sampling: { topP: 2 } });
    expect(brokenRules(SampleRequestSchema, request).map(({ description }) => description)).toEqual(["is 2; must lie in (0, 1]"]);
    const evaluation = create(EvaluationFinishedSchema, { metric: "secret".repeat(100) });
    expect(brokenRules(EvaluationFinishedSchema, evaluation).map(({ description }) => description)).toEqual([
      expect.not.stringContaining("secret"),
    ]);
  });

  it("says in words how a text must be, for every pattern that there is", async () => {
    const run = create(RunSpecSchema, { name: "My Run", teachers: [{ server: { url: "far:8000", tokenEnv: "HOME" } }] });
    const said = Object.fromEntries(brokenRules(RunSpecSchema, run).map(({ fieldPath, description }) => [fieldPath, description]));
    expect(said.name).toBe("must have 1 to 41 lower-case letters (a-z), digits and hyphens, and begin and end with a letter or digit");
    expect(said["teachers[0].server.url"]).toMatch(/^must be http:/);
    expect(said["teachers[0].server.tokenEnv"]).toMatch(/^must be RETORT_TEACHER_TOKEN/);
    const patterns = new Set((await allFields()).map((field) => textRulesOf(field)?.pattern).filter(Boolean));
    expect([...patterns].sort()).toEqual(Object.keys(patternWords).sort());
  });

  it("finds none in a valid message, which checkMessage() returns as it is", () => {
    const request = create(SampleRequestSchema, { prompts: [{ input: { case: "text", value: "a" } }], sampling: {} });
    expect(brokenRules(SampleRequestSchema, request)).toEqual([]);
    expect(checkMessage(SampleRequestSchema, request)).toBe(request);
  });
});
