import { type DescField, type DescMessage, fromJson, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { nearest } from "../../base/nearest.js";
import type { YamlPath } from "../../base/yaml-document.js";
import { meaningOf } from "./field-meaning.js";

/** A field that cannot be read, or a name that is no field's. */
export interface Misfit {
  /** Names and indices as they were written. */
  readonly path: YamlPath;
  readonly fieldPath: string;
  /** Whether it is about the field's name, or what stands there. */
  readonly of: "key" | "value";
  readonly description: string;
  readonly suggestion?: string;
}

/** What fits a message, and what doesn't. */
export interface Fitted {
  /** The fields that can be read. */
  readonly json: Record<string, JsonValue>;
  readonly misfits: readonly Misfit[];
}

type Fields = Record<string, JsonValue>;

/** Where a value stands: as it was written, and in camelCase. */
interface Where {
  readonly path: YamlPath;
  readonly fieldPath: string;
}

const isFields = (value: JsonValue): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** What a value is, in YAML's words. Texts aren't quoted: the file may be another's. */
function kindOf(value: JsonValue): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map of fields";
  return typeof value === "string" ? "text" : String(value);
}

/**
 * Takes JSON apart by a message's fields: what can be read, and everything that can't, with where it stands.
 * Names may be in camelCase or as in the proto.
 */
export function fitFields(message: DescMessage, given: Fields, at: Where = { path: [], fieldPath: "" }): Fitted {
  const json: Fields = {};
  const misfits: Misfit[] = [];
  for (const [name, value] of Object.entries(given)) {
    const field = message.fields.find((one) => one.jsonName === name || one.name === name);
    const where = { path: [...at.path, name], fieldPath: `${at.fieldPath}${at.fieldPath && "."}${field?.jsonName ?? shown(name)}` };
    if (!field) misfits.push({ ...where, of: "key", ...unknownName(message, name, at.fieldPath) });
    else if (Object.hasOwn(json, field.jsonName))
      misfits.push({ ...where, of: "key", description: `is given twice, as ${field.jsonName} and ${field.name}; keep one` });
    else {
      const fitted = fitValue(field, value, where);
      misfits.push(...fitted.misfits);
      if (fitted.value !== undefined) json[field.jsonName] = fitted.value;
    }
  }
  return { json, misfits };
}

/** A name as it may be shown. */
const shown = (name: string): string => (name.length > 64 ? `${name.slice(0, 64)}…` : name);

/** What to say of a name that no field of the message has. */
function unknownName(message: DescMessage, name: string, within: string): Pick<Misfit, "description" | "suggestion"> {
  if (name === "<<") return { description: "is a merge key, which isn't read; write its fields out, or name the whole map by an alias" };
  const names = message.fields.map(({ jsonName }) => jsonName);
  const suggestion = nearest(name, names);
  if (suggestion) return { description: `isn't a field; did you mean ${suggestion}?`, suggestion };
  const parts = message.fields.filter((field) => field.message?.fields.some(({ jsonName }) => jsonName === name));
  const [part] = parts;
  if (part) {
    const belongs = `${within}${within && "."}${part.jsonName}${part.fieldKind === "list" ? "[…]" : ""}.${name}`;
    return { description: `isn't a field here; did you mean ${belongs}?`, suggestion: belongs };
  }
  return { description: `isn't a field; ${within || "a run spec"} has ${names.join(", ")}` };
}

interface FittedValue {
  /** Undefined if nothing of it can be read. */
  readonly value: JsonValue | undefined;
  readonly misfits: readonly Misfit[];
}

function fitValue(field: DescField, value: JsonValue, where: Where): FittedValue {
  const misfit = (description: string): FittedValue => ({ value: undefined, misfits: [{ ...where, of: "value", description }] });
  // As JSON of protos has it: the field is not given.
  if (value === null) return { value: undefined, misfits: [] };
  const mustBe = () => `is ${kindOf(value)}; it must be ${meaningOf(field)}`;
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) return misfit(mustBe());
    const items = value.map((item, i) => fitItem(field, item, { path: [...where.path, i], fieldPath: `${where.fieldPath}[${i}]` }));
    // An item that can't be read leaves nothing in its place: the others would have other numbers.
    const whole = items.every((item) => item.value !== undefined);
    return {
      value: whole ? items.map((item) => item.value as JsonValue) : undefined,
      misfits: items.flatMap(({ misfits }) => misfits),
    };
  }
  if (isOwnMessage(field)) {
    if (!isFields(value)) return misfit(mustBe());
    const { json, misfits } = fitFields(field.message, value, where);
    return { value: json, misfits };
  }
  return reads(field, value) ? { value, misfits: [] } : misfit(mustBe());
}

function fitItem(field: DescField & { fieldKind: "list" }, item: JsonValue, where: Where): FittedValue {
  if (field.listKind === "message" && isFields(item)) {
    const { json, misfits } = fitFields(field.message, item, where);
    return { value: json, misfits };
  }
  if (item !== null && reads(field, [item])) return { value: item, misfits: [] };
  const description = `is ${kindOf(item)}; it must be ${meaningOf(field, "item")}`;
  return { value: undefined, misfits: [{ ...where, of: "value", description }] };
}

/** A message with fields of its own, unlike google.protobuf.Struct, which JSON writes in its own way. */
const isOwnMessage = (field: DescField): field is DescField & { fieldKind: "message" } =>
  field.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf.");

/** Whether the library reads a value as that field's. */
function reads(field: DescField, value: JsonValue): boolean {
  // It takes texts for numbers, which no spec means.
  const numeric = field.scalar !== undefined && field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES;
  const texts = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
  if (numeric && field.fieldKind !== "map" && texts.some((text) => text.trim() === "" || Number.isNaN(Number(text)))) return false;
  try {
    fromJson(field.parent, { [field.jsonName]: value });
    return true;
  } catch {
    return false;
  }
}
