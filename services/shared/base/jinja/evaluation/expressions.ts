import { getAttribute, getItem, getSlice } from "../access.js";
import { handle, handleSize, nested, spend } from "../budget.js";
import { raise, refuse, TemplateFault } from "../fault.js";
import { applyFilter, applyTest } from "../filters/table.js";
import { binary, unary } from "../operators/arithmetic.js";
import type { Arguments, Expression, Filter } from "../syntax/ast.js";
import { partsOf } from "../syntax/names.js";
import { compare } from "../values/compare.js";
import { Dict, Tuple } from "../values/containers.js";
import { listOf, truth } from "../values/iterate.js";
import { Markup } from "../values/markup.js";
import { str } from "../values/repr.js";
import { isUndefined, Undefined } from "../values/undefined.js";
import { type Keywords, noKeywords, PyObject, typeName, type Value } from "../values/value.js";
import type { Scope } from "./scope.js";

/** An expression, ready to be evaluated. */
export type Code = (scope: Scope) => Value;

type Of<T extends Expression["type"]> = Expression & { readonly type: T };

/** How each sort of expression is evaluated. */
const compilers: { readonly [T in Expression["type"]]: (node: Of<T>) => Code } = {
  And: ({ left, right }) => logical(left, right, false),
  Attribute: ({ of, name }) => {
    const value = compile(of);
    return (scope) => getAttribute(value(scope), name);
  },
  Binary: ({ operator, left, right }) => {
    const [a, b] = [compile(left), compile(right)];
    return (scope) => binary(operator, a(scope), b(scope));
  },
  Call: ({ of, ...args }) => compileCall(of, args),
  Compare: compileComparison,
  Concat: ({ items }) => {
    const parts = items.map(compile);
    return (scope) => {
      const texts = parts.map((part) => str(part(scope)));
      handleSize(texts.reduce((size, text) => size + text.length, 0));
      return texts.join("");
    };
  },
  Condition: ({ test, then, otherwise }) => {
    const [check, yes, no] = [compile(test), compile(then), otherwise === null ? absent : compile(otherwise)];
    return (scope) => (truth(check(scope)) ? yes(scope) : no(scope));
  },
  Const:
    ({ value }) =>
    () =>
      value,
  Dict: ({ items }) => {
    const entries = items.map(([key, value]) => [compile(key), compile(value)] as const);
    return (scope) => new Dict(entries.map(([key, value]) => [key(scope), value(scope)] as const));
  },
  Filter: (node) => compileFilter(node, node.of === null ? () => "" : compile(node.of)),
  Item: ({ of, index }) => {
    const value = compile(of);
    if (index.type === "Slice") return compileSlice(of, value, index);
    const key = compile(index);
    return (scope) => getItem(value(scope), key(scope));
  },
  List: ({ items }) => {
    const parts = items.map(compile);
    return (scope) => parts.map((part) => part(scope));
  },
  Name: ({ name }) => {
    if (name === "self" || name === "super") return (scope) => givenOrRefused(scope, name);
    return (scope) => scope.get(name);
  },
  Neg: ({ of }) => {
    const value = compile(of);
    return (scope) => unary("-", value(scope));
  },
  Not: ({ of }) => {
    const value = compile(of);
    return (scope) => !truth(value(scope));
  },
  Or: ({ left, right }) => logical(left, right, true),
  Pos: ({ of }) => {
    const value = compile(of);
    return (scope) => unary("+", value(scope));
  },
  Slice: () => () => raise("Unimplemented", "several slices in one pair of brackets are not supported here"),
  Test: ({ of, name, ...args }) => {
    const [value, bind] = [compile(of), compileArguments(args)];
    return (scope) => {
      const tested = value(scope);
      const { positional, keywords } = bind(scope);
      return applyTest(name, tested, positional, keywords);
    };
  },
  Tuple: ({ items }) => {
    const parts = items.map(compile);
    return (scope) => new Tuple(parts.map((part) => part(scope)));
  },
};

/** Makes an expression ready to be evaluated. */
export function compile(node: Expression): Code {
  return (compilers[node.type] as (node: Expression) => Code)(node);
}

/** The names of a template's blocks, unless a value has that name. */
function givenOrRefused(scope: Scope, name: string): Value {
  const value = scope.get(name);
  return isUndefined(value) ? refuse(`the name ${name}, which stands for the template's blocks,`) : value;
}

const absent: Code = () => new Undefined("the inline if-expression evaluated to false and no else section was defined.");

function logical(left: Expression, right: Expression, stopsAt: boolean): Code {
  const [a, b] = [compile(left), compile(right)];
  return (scope) => {
    const value = a(scope);
    return truth(value) === stopsAt ? value : b(scope);
  };
}

function compileComparison({ first, rest }: Of<"Compare">): Code {
  const start = compile(first);
  const steps = rest.map(({ operator, right }) => ({ operator, right: compile(right) }));
  return (scope) => {
    let left = start(scope);
    for (const { operator, right } of steps) {
      const value = right(scope);
      if (!compare(operator, handle(left), handle(value))) return false;
      left = value;
    }
    return true;
  };
}

function compileSlice(of: Expression, value: Code, slice: Of<"Slice">): Code {
  const bound = (part: Expression | null): Code => (part === null ? () => null : compile(part));
  const [start, stop, step] = [bound(slice.start), bound(slice.stop), bound(slice.step)];
  const run: Code = (scope) => getSlice(value(scope), start(scope), stop(scope), step(scope));
  return isConstant(of) ? (scope) => constantSlice(() => run(scope)) : run;
}

function isConstant(node: Expression): boolean {
  return node.type !== "Name" && node.type !== "Call" && partsOf(node).every(isConstant);
}

/** A slice of a constant that has none: Jinja2 makes it Undefined where it evaluates it before the rendering, else an error. */
function constantSlice(slice: () => Value): Value {
  try {
    return slice();
  } catch (error) {
    if (error instanceof TemplateFault && error.kind === "TypeError") refuse("a slice of a constant that has none");
    throw error;
  }
}

/** A filter over a value that comes from elsewhere, as a block's text; filters before it in a chain are evaluated as well. */
export function compileFilter(node: Filter, first: Code): Code {
  const value = node.of?.type === "Filter" ? compileFilter(node.of, first) : first;
  const { name, of: _, ...args } = node;
  const input = node.of === null || node.of.type === "Filter" ? value : compile(node.of);
  const bind = compileArguments(args);
  return (scope) => {
    const filtered = input(scope);
    const { positional, keywords } = bind(scope);
    return applyFilter(name, filtered, positional, keywords);
  };
}

/** Arguments with their values. */
export interface Bound {
  readonly positional: readonly Value[];
  readonly keywords: Keywords;
}

/** Makes arguments ready to be evaluated. */
export function compileArguments({ positional, keywords, spread, spreadKeywords }: Arguments): (scope: Scope) => Bound {
  const places = positional.map(compile);
  const names = keywords.map(([name, value]) => [name, compile(value)] as const);
  const [list, dict] = [spread === null ? null : compile(spread), spreadKeywords === null ? null : compile(spreadKeywords)];
  const twice = names.find(([name], index) => names.findIndex(([other]) => other === name) !== index);
  if (twice !== undefined) raise("SyntaxError", `keyword argument repeated: ${twice[0]}`);
  return (scope) => {
    const values = places.map((place) => place(scope));
    if (list !== null) values.push(...listOf(list(scope)));
    if (names.length === 0 && dict === null) return { positional: values, keywords: noKeywords };
    const named = new Map(names.map(([name, value]) => [name, value(scope)] as const));
    if (dict !== null) spreadInto(named, dict(scope));
    return { positional: values, keywords: named };
  };
}

function spreadInto(named: Map<string, Value>, dict: Value): void {
  if (!(dict instanceof Dict)) raise("TypeError", `argument after ** must be a mapping, not ${typeName(dict)}`);
  for (const [key, value] of dict.entries()) {
    if (typeof key !== "string") raise("TypeError", "keywords must be strings");
    if (named.has(key as string)) raise("TypeError", `got multiple values for keyword argument '${str(key)}'`);
    named.set(key as string, value);
  }
}

function compileCall(of: Expression, args: Arguments): Code {
  const [callee, bind] = [compile(of), compileArguments(args)];
  return (scope) => {
    const called = callee(scope);
    const { positional, keywords } = bind(scope);
    return call(called, positional, keywords);
  };
}

/** Calls a function, a method, a class or a macro; raises TypeError for what cannot be called. */
export function call(callee: Value, args: readonly Value[], keywords: Keywords): Value {
  spend(1);
  const run = callee instanceof PyObject ? callee.call : undefined;
  if (run !== undefined) return nested(() => run(args, keywords));
  const type = callee instanceof Markup ? "Markup" : typeName(callee);
  throw new TemplateFault("TypeError", `'${type}' object is not callable`);
}
