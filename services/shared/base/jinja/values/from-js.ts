import { SpelledNumber } from "../../json.js";
import { raise, TemplateFault } from "../fault.js";
import { Callable, Dict, Tuple } from "./containers.js";
import { str } from "./repr.js";
import { bind } from "./signature.js";
import { Undefined } from "./undefined.js";
import { PyObject, type Value } from "./value.js";

/** A value of JavaScript as the template's: whole numbers are int, objects are dicts, functions can be called. */
export function fromJs(value: unknown, name: string): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value;
    case "number":
      return Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value) : value;
    case "undefined":
      return new Undefined(`'${name}' is undefined`);
    case "function":
      return fromFunction(value as (...values: unknown[]) => unknown, name);
  }
  if (value === null) return null;
  if (value instanceof PyObject) return value;
  if (Array.isArray(value)) return value.map((item) => fromJs(item ?? null, name));
  if (value instanceof SpelledNumber) return /[.eE]/.test(value.text) ? Number(value.text) : BigInt(value.text);
  if (typeof value === "object" && isPlain(value)) return fromObject(value, name);
  return raise("TypeError", `${name} is no value that a template can read: ${Object.prototype.toString.call(value)}`);
}

function isPlain(value: object): boolean {
  // Not `=== Object.prototype`: objects of worker threads and of other realms (vm contexts) have their own.
  return Object.prototype.toString.call(value) === "[object Object]";
}

function fromObject(value: object, name: string): Dict {
  const dict = new Dict();
  for (const [key, part] of Object.entries(value)) if (part !== undefined) dict.set(key, fromJs(part, name));
  return dict;
}

/** Parameters of the functions that a template may call by name. */
const parameters: Readonly<Record<string, readonly string[]>> = { raise_exception: ["message"], strftime_now: ["format"] };

function fromFunction(call: (...values: unknown[]) => unknown, name: string): Callable {
  const run = (args: readonly Value[], keywords: ReadonlyMap<string, Value>): Value => {
    const bound = bind(
      { name, parameters: parameters[name] ?? args.map((_, index) => `argument ${index + 1}`), required: 0, byName: true },
      args,
      keywords,
    );
    try {
      return fromJs(call(...bound.map((value) => (value === undefined ? undefined : toJs(value)))) ?? null, name);
    } catch (error) {
      if (error instanceof TemplateFault) throw error;
      return raise("TemplateError", (error as Error).message);
    }
  };
  return new Callable(name, run, "function");
}

/** A template's value for a function of JavaScript: int becomes a number, dicts become objects. */
export function toJs(value: Value): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(toJs);
  if (value instanceof Tuple) return value.items.map(toJs);
  if (value instanceof Dict) return Object.fromEntries(value.entries().map(([key, part]) => [str(key), toJs(part)]));
  if (value instanceof Undefined) return undefined;
  return value instanceof PyObject ? value.str() : value;
}
