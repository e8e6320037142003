// `for`, and what a template knows of its loop.
import { bind } from "./arguments.js";
import { TemplateFailure } from "./failure.js";
import { type Expression, type Output, runAll, Scope, type Statement, textOf } from "./scope.js";
import { type Arguments, Attributes, Callable, equal, iterate, truth, tupleOf, Undefined } from "./values.js";

/** Gives targets their values. */
export type Assign = (scope: Scope, value: unknown) => void;

/** The parts of a `for`. */
export interface ForParts {
  readonly assign: Assign;
  readonly items: Expression;
  /** Which items are taken; absent for all. */
  readonly condition: Expression | undefined;
  readonly recursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

/** A `for` as a statement. */
export function forStatement(parts: ForParts): Statement {
  return (scope, out) => loop(parts, parts.items(scope), scope, out, 0);
}

function loop(parts: ForParts, given: unknown, scope: Scope, out: Output, depth: number): undefined {
  const { assign, condition, body, otherwise } = parts;
  const items = iterate(given).filter((item) => {
    if (!condition) return true;
    const own = new Scope(scope);
    assign(own, item);
    return truth(condition(own));
  });
  let changed: unknown[] | undefined;
  const onChange = (values: readonly unknown[]): boolean => {
    const same = changed !== undefined && equal(changed, values);
    changed = [...values];
    return !same;
  };
  for (const [i, item] of items.entries()) {
    out.turn();
    const own = new Scope(scope);
    own.set("loop", loopAt(parts, items, i, scope, out, depth, onChange));
    assign(own, item);
    if (runAll(body, own, out) === "break") break;
  }
  if (items.length === 0) runAll(otherwise, new Scope(scope), out);
  return undefined;
}

function loopAt(
  parts: ForParts,
  items: readonly unknown[],
  i: number,
  scope: Scope,
  out: Output,
  depth: number,
  onChange: (values: readonly unknown[]) => boolean,
): Attributes {
  const call = ({ list }: Arguments) => {
    if (!parts.recursive) throw new TemplateFailure("The loop must have the 'recursive' marker to be called recursively.");
    return textOf([(_, own) => loop(parts, list[0], scope, own, depth + 1)], scope, out);
  };
  const cycle = ({ list }: Arguments) => {
    if (list.length === 0) throw new TemplateFailure("no items for cycling given");
    return list[i % list.length];
  };
  const values: [string, unknown][] = [
    ["index", BigInt(i + 1)],
    ["index0", BigInt(i)],
    ["revindex", BigInt(items.length - i)],
    ["revindex0", BigInt(items.length - i - 1)],
    ["first", i === 0],
    ["last", i === items.length - 1],
    ["length", BigInt(items.length)],
    ["depth", BigInt(depth + 1)],
    ["depth0", BigInt(depth)],
    ["previtem", i > 0 ? items[i - 1] : new Undefined("there is no previous item")],
    ["nextitem", i + 1 < items.length ? items[i + 1] : new Undefined("there is no next item")],
    ["cycle", new Callable("cycle", cycle)],
    ["changed", new Callable("changed", ({ list }) => onChange(list))],
    ["__call__", new Callable("loop", call)],
  ];
  return new Attributes("LoopContext", new Map(values));
}

/** A macro's parameter; `fallback` is its default. */
export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

/** A macro, or what `call` hands to one. @param reads which of varargs, kwargs and caller its body reads */
export function macroOf(
  name: string,
  parameters: readonly Parameter[],
  body: readonly Statement[],
  reads: ReadonlySet<string>,
  scope: Scope,
  out: Output,
): Callable {
  const names = parameters.map((parameter) => parameter.name);
  return new Callable(name, ({ list, named }) => {
    out.turn();
    const own = new Scope(scope);
    const rest = new Map([...named].filter(([key]) => !names.includes(key)));
    const caller = rest.get("caller");
    if (reads.has("caller") && !names.includes("caller")) {
      rest.delete("caller");
      own.set("caller", caller ?? new Undefined("No caller defined"));
    }
    if (rest.size && !reads.has("kwargs")) throw new TemplateFailure(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
    if (list.length > names.length && !reads.has("varargs"))
      throw new TemplateFailure(`macro '${name}' takes not more than ${names.length} argument(s)`);
    const known = new Map([...named].filter(([key]) => names.includes(key)));
    const given = bind(`macro '${name}'`, { list: list.slice(0, names.length), named: known }, names);
    for (const { name: parameter, fallback } of parameters)
      own.set(parameter, given[parameter] ?? (parameter in given ? given[parameter] : missing(parameter, fallback, own)));
    own.set("varargs", tupleOf(...list.slice(names.length)));
    own.set("kwargs", rest);
    return textOf(body, own, out);
  });
}

const missing = (name: string, fallback: Expression | undefined, scope: Scope): unknown =>
  fallback ? fallback(scope) : new Undefined(`parameter '${name}' was not provided`);
