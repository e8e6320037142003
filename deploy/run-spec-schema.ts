/**
 * Writes deploy/examples/run-spec.schema.json: what a run's YAML may hold, as JSON Schema, for editors. Names, types, bounds and closed
 * sets are those of proto/retort/v1/run_spec.proto, descriptions its comments.
 *
 *     node dist/deploy/run-spec-schema.js           writes it
 *     node dist/deploy/run-spec-schema.js --check   fails if it is not what would be written
 */
import { resolve } from "node:path";
import { create, type DescField, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules, message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { brokenRules } from "../services/shared/base/rpc/check-message.js";
import { RunSpecSchema } from "../services/shared/gen/retort/v1/run_spec_pb.js";
import { keepGenerated } from "./generated.js";
import { protoComments } from "./proto-comments.js";
import { inRules, protoMessages } from "./proto-rules.js";

type Schema = Readonly<Record<string, unknown>>;

const file = resolve("deploy/examples/run-spec.schema.json");

/** The largest value of a uint32. */
const largest = 2 ** 32 - 1;

/**
 * What CEL expressions say, as JSON Schema, by their ids. One that is missing here is an error: the schema would permit what the
 * controller refuses.
 */
const celSchemas: Readonly<Record<string, Schema>> = {
  "data.path_or_generate": { anyOf: [{ required: ["path"] }, { required: ["generate"] }] },
  "evaluation.path_or_hold_out": { oneOf: [{ required: ["path"] }, { required: ["holdOut"] }] },
  "follow.how": { oneOf: [{ required: ["everySteps"] }, { required: ["ema"] }] },
  "lora.all_linear_alone": {
    if: { required: ["targetModules"], properties: { targetModules: { contains: { const: "all-linear" } } } },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { properties: { targetModules: { maxItems: 1 } } },
  },
  "sampling.temperature": { anyOf: [{ const: 0 }, { minimum: 0.001 }] },
  "student.lora_on_model": { not: { required: ["lora", "init"] } },
  "student.model_or_init": { oneOf: [{ required: ["model"] }, { required: ["init"] }] },
};

function ofCel(rules: readonly { readonly id: string }[]): Schema {
  const schemas = rules.map(({ id }) => {
    const schema = celSchemas[id];
    if (!schema) throw new Error(`deploy/run-spec-schema.ts does not say what the CEL rule ${id} is in JSON Schema`);
    return schema;
  });
  return schemas.length ? { allOf: schemas } : {};
}

const comments = protoComments();
const definitions: Record<string, Schema> = {};
/** Words that are what they are, and no names of fields where a comment has them: values of closed sets, and a column of rows. */
const closed = new Set([...Object.values(inRules).flat(), "chat_template_kwargs"]);
/** Names of fields in the protos, and in YAML. */
const fieldNames = new Map(protoMessages.flatMap(({ fields }) => fields.map(({ name, jsonName }) => [name, jsonName])));

/** A schema that refers to a message's own, which is added to the definitions. */
function refer(message: DescMessage): Schema {
  // Any structure: what a chat template reads.
  if (message.typeName === "google.protobuf.Struct") return { type: "object" };
  if (!(message.name in definitions)) {
    definitions[message.name] = {};
    definitions[message.name] = ofMessage(message);
  }
  return { $ref: `#/definitions/${message.name}` };
}

function ofMessage(message: DescMessage): Schema {
  const rules = hasOption(message, messageRules) ? getOption(message, messageRules).cel : [];
  // What a message without anything breaks must be given.
  const missing = new Set(brokenRules(message, create(message)).flatMap(({ path: [first] }) => (first?.kind === "field" ? [first] : [])));
  const required = message.fields.filter((field) => missing.has(field)).map(({ jsonName }) => jsonName);
  return {
    type: "object",
    ...described(message.typeName),
    properties: Object.fromEntries(message.fields.map((field) => [field.jsonName, ofField(field)])),
    ...(required.length ? { required } : {}),
    additionalProperties: false,
    ...ofCel(rules),
  };
}

function ofField(field: DescField): Schema {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  const said = described(`${field.parent.typeName}.${field.name}`);
  switch (field.fieldKind) {
    case "message":
      // In draft 7 nothing beside a $ref counts.
      return "description" in said ? { ...said, allOf: [refer(field.message)] } : refer(field.message);
    case "scalar":
      return { ...ofScalar(field.scalar, rules), ...said, ...ofCel(rules?.cel ?? []) };
    case "list": {
      const { items, ...sizes } = ofList(rules);
      const each = field.listKind === "message" ? refer(field.message) : field.scalar && ofScalar(field.scalar, items);
      if (each) return { type: "array", items: each, ...sizes, ...said };
    }
  }
  throw new Error(`deploy/run-spec-schema.ts does not know what ${field.parent.name}.${field.name} is in YAML`);
}

function ofList(rules: FieldRules | undefined) {
  const { items, minItems, maxItems, unique } = rules?.type.case === "repeated" ? rules.type.value : {};
  return {
    items,
    ...(minItems ? { minItems: Number(minItems) } : {}),
    ...(maxItems ? { maxItems: Number(maxItems) } : {}),
    ...(unique ? { uniqueItems: true } : {}),
  };
}

function ofScalar(scalar: ScalarType, rules: FieldRules | undefined): Schema {
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.DOUBLE:
      return { type: "number", ...boundsOf(rules) };
    case ScalarType.STRING:
      return { type: "string", ...ofText(rules) };
    case ScalarType.UINT32:
      return { type: "integer", minimum: 0, maximum: largest, ...boundsOf(rules) };
    default:
      throw new Error(`deploy/run-spec-schema.ts does not know what ${ScalarType[scalar]} is in YAML`);
  }
}

function ofText(rules: FieldRules | undefined): Schema {
  if (!rules) return {};
  if (rules.type.case !== "string") throw new Error(`deploy/run-spec-schema.ts does not know the rules ${rules.type.case} of a text`);
  const { in: allowed, pattern, minLen, maxLen, maxBytes } = rules.type.value;
  const longest = maxLen || maxBytes;
  return {
    // The empty text stands for a default, which a spec leaves out.
    ...(allowed.length ? { enum: allowed.filter(Boolean) } : {}),
    ...(pattern ? { pattern } : {}),
    ...(minLen ? { minLength: Number(minLen) } : {}),
    ...(longest ? { maxLength: Number(longest) } : {}),
  };
}

function boundsOf(rules: FieldRules | undefined): Schema {
  if (!rules) return {};
  const { type } = rules;
  if (type.case !== "double" && type.case !== "uint32")
    throw new Error(`deploy/run-spec-schema.ts does not know the rules ${type.case} of a number`);
  const { greaterThan, lessThan } = type.value;
  return {
    ...(greaterThan.case === "gte" ? { minimum: greaterThan.value } : {}),
    ...(greaterThan.case === "gt" ? { exclusiveMinimum: greaterThan.value } : {}),
    ...(lessThan.case === "lte" ? { maximum: lessThan.value } : {}),
    ...(lessThan.case === "lt" ? { exclusiveMaximum: lessThan.value } : {}),
  };
}

/** The comment of a message or a field. It calls fields by their names in the proto. */
function described(fullName: string): Schema {
  const comment = comments.get(fullName);
  const inYaml = (name: string) => (closed.has(name) ? name : (fieldNames.get(name) ?? name));
  return comment ? { description: comment.replace(/\b[a-z0-9]+(?:_[a-z0-9]+)+\b/g, inYaml) } : {};
}

const schema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  $comment: "Generated from proto/retort/v1/run_spec.proto by `npm run gen`: do not edit.",
  title: "A run of Retort",
  ...ofMessage(RunSpecSchema),
  definitions,
};

const text = `${JSON.stringify(schema, null, 2)}\n`;
keepGenerated(file, text, "the protos");
