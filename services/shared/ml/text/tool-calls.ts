import { parseJson, writeJson } from "../../base/json.js";
import { JsonFault } from "../../base/json-text.js";

/** A tool that an assistant calls. */
export interface ToolCall {
  readonly name: string;
  /** A JSON object. */
  readonly arguments: string;
}

/** What encloses a call, as Hermes, Qwen and SmolLM3 were taught. */
const [opens, closes] = ["<tool_call>", "</tool_call>"];
const enclosed = new RegExp(`${opens}(.*?)${closes}`, "gs");

/** Whether a text has what begins a call, whether or not it can be read as one. */
export const beginsCall = (text: string): boolean => text.includes(opens);

/**
 * The calls that an assistant's text spells out: JSON objects with `name`, and `arguments` or `parameters`, each between
 * <tool_call> and </tool_call>; or, where there is none such, one as the whole text (Llama 3). What is no such object is no call.
 */
export function toolCallsIn(text: string): ToolCall[] {
  const marked = Array.from(text.matchAll(enclosed), ([, body = ""]) => body);
  return (marked.length > 0 ? marked : [text]).flatMap((body) => callIn(body) ?? []);
}

function callIn(text: string): ToolCall | undefined {
  const value = objectIn(text);
  if (!value || typeof value.name !== "string") return undefined;
  const given = value.arguments ?? value.parameters ?? {};
  // OpenAI's own form has the arguments as text.
  const object = typeof given === "string" ? objectIn(given) : isObject(given) ? given : undefined;
  return object && { name: value.name, arguments: writeJson(object) };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const value = parseJson(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonFault) return undefined;
    throw error;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
