import { getItem } from "../access.js";
import { spend } from "../budget.js";
import { raise } from "../fault.js";
import { Markup } from "../values/markup.js";
import { str } from "../values/repr.js";
import { bind } from "../values/signature.js";
import { isUndefined } from "../values/undefined.js";
import { type Keywords, typeName, type Value } from "../values/value.js";

/** What filters that take the name of another need. */
export interface Tools {
  filter(name: string, value: Value, args: readonly Value[], keywords: Keywords): Value;
  test(name: string, value: Value, args: readonly Value[], keywords: Keywords): boolean;
}

/** A filter: what stands before the bar, and the arguments. */
export type Filter = (value: Value, args: readonly Value[], keywords: Keywords, tools: Tools) => Value;

/** A filter with these parameters, which may be given by place or by name; `!` marks those that must be given. */
export function filter(parameters: readonly string[], run: (value: Value, args: readonly (Value | undefined)[]) => Value): Filter {
  const required = parameters.filter((name) => name.endsWith("!")).length;
  const signature = { name: "filter", parameters: parameters.map((name) => name.replace("!", "")), required, byName: true };
  return (value, args, keywords) => run(value, bind(signature, args, keywords));
}

/** A text or anything else as text; a safe text stays safe. */
export function softly(value: Value, run: (text: string) => string): Value {
  return value instanceof Markup ? new Markup(run(value.text)) : run(str(value));
}

/** An argument that must be an int. */
export function whole(value: Value | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return Number(value);
  return typeof value === "bigint" ? Number(value) : raise("TypeError", `'${typeName(value)}' object cannot be interpreted as an integer`);
}

/** A text that must be one. */
export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  if (isUndefined(value)) return value.fail();
  return value instanceof Markup ? value.text : raise("TypeError", `a text is needed, not ${typeName(value)}`);
}

/** Texts in lower case, other values as they are: what sorts and groups without regard to case. */
export function ignoreCase(value: Value): Value {
  if (value instanceof Markup) return value.text.toLowerCase();
  return typeof value === "string" ? value.toLowerCase() : value;
}

/** What finds an attribute by its path (`"a.b.0"`, an int, or none: the value itself). */
export function attributeGetter(path: Value | undefined, otherwise?: Value): (value: Value) => Value {
  const parts = partsOf(path ?? null);
  const fallback = otherwise ?? null;
  return (value) => {
    spend(parts.length);
    let item = value;
    for (const part of parts) {
      item = getItem(item, part);
      if (fallback !== null && isUndefined(item)) item = fallback;
    }
    return item;
  };
}

/** The parts of an attribute's path. */
export function partsOf(path: Value): readonly Value[] {
  if (path === null) return [];
  const text = path instanceof Markup ? path.text : path;
  return typeof text === "string" ? text.split(".").map((part) => (/^\p{Nd}+$/u.test(part) ? BigInt(part) : part)) : [path];
}
