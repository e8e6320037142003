import { parseJson } from "../../../base/json.js";
import { jsonError } from "../../../base/json-text.js";
import type { Row } from "../row.js";
import { isObject, kindOf, type Place, refusedColumn } from "./messages.js";
import { unreadableIn } from "./unreadable.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * What a row has for the chat template beside its messages. Null is as good as absent; tools may be a list in JSON text, as in
 * TRL.
 *
 * @throws InvalidArgument naming file, line and column
 */
export function templateColumns(object: Json, where: string): Pick<Row, "tools" | "documents" | "chatTemplateKwargs"> {
  const place = (name: string): Place => ({ where, name, fieldPath: "data.path" });
  const { documents, chat_template_kwargs: kwargs } = object;
  const tools = listOf(object.tools, place("tools"));
  return {
    ...(isAbsent(tools) ? {} : { tools: objectsOf(tools, place("tools")) }),
    ...(isAbsent(documents) ? {} : { documents: objectsOf(documents, place("documents")) }),
    ...(isAbsent(kwargs) ? {} : { chatTemplateKwargs: objectOf(kwargs, place("chat_template_kwargs")) }),
  };
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;

function listOf(value: unknown, place: Place): unknown {
  if (typeof value !== "string") return value;
  try {
    return parseJson(value);
  } catch (error) {
    throw refusedColumn(place, `${jsonError(error, "is text that")}; a list of objects is expected there`);
  }
}

function objectsOf(value: unknown, place: Place): readonly unknown[] {
  if (!Array.isArray(value)) throw refusedColumn(place, `is ${kindOf(value)}; a list of objects is expected there`);
  const odd = value.findIndex((one) => !isObject(one));
  if (odd >= 0) throw refusedColumn(place, `has ${kindOf(value[odd])} at position ${odd + 1}; a list of objects is expected there`);
  return readable(value, place);
}

function objectOf(value: unknown, place: Place): Json {
  if (!isObject(value)) throw refusedColumn(place, `is ${kindOf(value)}; an object is expected there, such as {"enable_thinking": false}`);
  return readable(value, place);
}

function readable<T>(value: T, place: Place): T {
  const odd = unreadableIn(value);
  if (odd) throw refusedColumn(place, `has ${odd.what} in it, which has no exact text; write it as text`);
  return value;
}
