import { TemplateFailure } from "./failure.js";
import type { Arguments } from "./values.js";

/** Arguments by the names of parameters: by position first, then by name; what is not given is undefined. */
export function bind(what: string, { list, named }: Arguments, parameters: readonly string[]): Record<string, unknown> {
  if (list.length > parameters.length)
    throw new TemplateFailure(`${what}() takes at most ${parameters.length} arguments (${list.length} given)`);
  const bound: Record<string, unknown> = {};
  list.forEach((value, i) => {
    bound[parameters[i]!] = value;
  });
  for (const [name, value] of named) {
    if (!parameters.includes(name)) throw new TemplateFailure(`${what}() got an unexpected keyword argument '${name}'`);
    if (name in bound) throw new TemplateFailure(`${what}() got multiple values for argument '${name}'`);
    bound[name] = value;
  }
  return bound;
}

/** An argument that must be there. */
export function required(what: string, bound: Readonly<Record<string, unknown>>, name: string): unknown {
  if (name in bound) return bound[name];
  throw new TemplateFailure(`${what}() missing required argument '${name}'`);
}
