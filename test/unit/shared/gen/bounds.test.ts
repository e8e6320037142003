import { readdir } from "node:fs/promises";
import { create, type DescField, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { protoFiles, protoMessages } from "../../../../deploy/proto-rules.js";
import { RetortError } from "../../../../services/shared/base/errors.js";
import { checkMessage } from "../../../../services/shared/base/rpc/check-message.js";
import { ArraySchema, PromptTaskSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { EvaluateRequestSchema } from "../../../../services/shared/gen/retort/v1/reward_pb.js";
import { SampleRequestSchema } from "../../../../services/shared/gen/retort/v1/student_pb.js";

/** Fields without a bound, and why. */
const anyValueIsASeed = new Set(["EnvironmentServiceResetRequest.seed", "RunSpec.seed", "PromptTask.seed", "SampleRequest.seed"]);
/** What a learner measured is told as it is, NaN and infinity among it; nothing is made as large as it says. */
const measured = new Set([
  "Precision",
  "ProcessFigures",
  "TrainingSample",
  "StepFinished",
  "EvaluationFinished",
  "Example",
  "SampledFigures",
  "PassAt",
  "TeacherEvaluation",
  "TeacherShare",
  "BestCheckpoint",
  "StepPace",
]);

const isMeasured = ({ parent, scalar, fieldKind }: DescField) =>
  fieldKind === "scalar" && scalar === ScalarType.DOUBLE && measured.has(parent.name);

/** Whether a type's rules bound its values from above, and numbers of either sign from below too. */
function boundsScalar(scalar: ScalarType, rules: FieldRules | undefined): boolean {
  const type = rules?.type;
  if (scalar === ScalarType.BOOL) return true;
  if (!type) return false;
  const has = (name: string) => {
    const rule = (type.value as Record<string, unknown>)[name];
    return (rule as { case?: unknown } | undefined)?.case !== undefined;
  };
  if (type.case === "string") {
    const { pattern, in: allowed, maxLen, maxBytes } = type.value;
    const unset = (value: bigint | undefined) => value === undefined || value === 0n;
    return allowed.length > 0 || !unset(maxLen) || !unset(maxBytes) || (pattern !== "" && !/[*+]|\{\d+,\}/.test(pattern));
  }
  if (type.case === "bytes") return type.value.maxLen !== 0n;
  const unsigned = scalar === ScalarType.UINT32 || scalar === ScalarType.UINT64;
  return has("lessThan") && (unsigned || has("greaterThan"));
}

function isBounded(field: DescField): boolean {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  switch (field.fieldKind) {
    case "scalar":
      return boundsScalar(field.scalar, rules);
    case "list": {
      if (rules?.type.case !== "repeated" || rules.type.value.maxItems === 0n) return false;
      return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES
        ? boundsScalar(field.scalar, rules.type.value.items)
        : true;
    }
    case "map": {
      if (rules?.type.case !== "map" || rules.type.value.maxPairs === 0n) return false;
      return boundsScalar(field.mapKey, rules.type.value.keys);
    }
    default:
      return true;
  }
}

const fields = protoMessages.flatMap((message) => message.fields);
const nameOf = ({ parent, name }: DescField) => `${parent.name}.${name}`;

describe("the protos", () => {
  it("are all looked at", async () => {
    const files = (await readdir("proto/retort/v1")).map((file) => `retort/v1/${file.replace(/\.proto$/, "")}`);
    expect(protoFiles.map(({ name }) => name).sort()).toEqual(files.sort());
  });

  it("bound every number, text, byte string, list and map", () => {
    expect(fields.length).toBeGreaterThan(300);
    const unbounded = fields.filter((field) => !isBounded(field) && !anyValueIsASeed.has(nameOf(field)) && !isMeasured(field));
    expect(unbounded.map(nameOf)).toEqual([]);
  });

  it("name no exception that there is not", () => {
    const names = new Set(fields.map(nameOf));
    expect([...anyValueIsASeed].filter((name) => !names.has(name))).toEqual([]);
    expect([...measured].filter((name) => !fields.some(({ parent }) => parent.name === name))).toEqual([]);
  });
});

const text = { prompts: [{ input: { case: "text" as const, value: "a" } }], sampling: {} };
const key = { runId: "a", purpose: 1, step: 1, attempt: 1 };

describe("checkMessage()", () => {
  it.each([
    ["2³²−1 samples", SampleRequestSchema, create(SampleRequestSchema, { ...text, samplesPerPrompt: 2 ** 32 - 1 }), /samplesPerPrompt/],
    [
      "prompts × samples",
      SampleRequestSchema,
      create(SampleRequestSchema, { sampling: {}, samplesPerPrompt: 1000, prompts: Array.from({ length: 100 }, () => text.prompts[0]!) }),
      /65536/,
    ],
    [
      "prompts × samples of a task",
      PromptTaskSchema,
      create(PromptTaskSchema, {
        key,
        sampling: {},
        samplesPerPrompt: 1024,
        prompts: Array.from({ length: 1025 }, () => ({ ids: { type: 3, shape: [0] } })),
      }),
      /1048576/,
    ],
    ["a run id with a dot", PromptTaskSchema, create(PromptTaskSchema, { key: { ...key, runId: "a.b" } }), /key\.runId/],
    [
      "a run id of 4,096 characters",
      PromptTaskSchema,
      create(PromptTaskSchema, { key: { ...key, runId: "a".repeat(4096) } }),
      /key\.runId/,
    ],
    ["nine dimensions", ArraySchema, create(ArraySchema, { type: 1, shape: Array.from({ length: 9 }, () => 1) }), /shape/],
    [
      "a pattern of 100,000 characters",
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, { inputs: [{}], rewards: [{ kind: "regex", pattern: "a".repeat(100_000) }] }),
      /pattern/,
    ],
    [
      "a weight that is no number",
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, { inputs: [{}], rewards: [{ kind: "bleu", weight: Number.NaN }] }),
      /weight/,
    ],
  ] as const)("refuses %s", (_, schema, message, expected) => {
    const check = () => checkMessage<DescMessage>(schema, message);
    expect(check).toThrow(RetortError);
    expect(check).toThrow(expected);
  });
});
