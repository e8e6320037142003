import { nested as deeper, handle, spend } from "../budget.js";
import { raise, TemplateFault } from "../fault.js";
import type { Arguments, For, Statement, Target } from "../syntax/ast.js";
import { hiddenNames } from "../syntax/hidden.js";
import { Lazy, Tuple } from "../values/containers.js";
import { iterate, truth } from "../values/iterate.js";
import { str } from "../values/repr.js";
import { Undefined } from "../values/undefined.js";
import { PyObject, typeName, type Value } from "../values/value.js";
import { type Code, call, compile, compileArguments, compileFilter } from "./expressions.js";
import { Namespace } from "./globals.js";
import { Loop, unpack } from "./loop.js";
import { Macro, planMacro } from "./macro.js";
import type { Scope } from "./scope.js";
import type { Signal, Step } from "./step.js";

type Of<T extends Statement["type"]> = Extract<Statement, { readonly type: T }>;

/** How each sort of statement is run. */
const compilers: { readonly [T in Statement["type"]]: (node: Of<T>) => Step } = {
  Autoescape: ({ value, body }) => {
    const [wanted, step] = [compile(value), compileFrame(body)];
    return (scope) => (truth(wanted(scope)) ? raise("Unimplemented", "autoescape true is not supported here") : step(scope.inner()));
  },
  Block: ({ body, scoped }) => {
    const step = compileFrame(body);
    return (scope) => step((scoped ? scope : scope.root).inner());
  },
  Break: () => () => "break",
  CallBlock: compileCallBlock,
  Continue: () => () => "continue",
  Data:
    ({ text }) =>
    (scope) => {
      scope.run.write(text);
      return "done";
    },
  FilterBlock: ({ filter, body }) => {
    const step = compileFrame(body);
    const value = compileFilter(filter, (scope) => scope.run.capture(() => step(scope)));
    return (scope) => writeText(scope, value(scope.inner()));
  },
  For: compileFor,
  Generation: ({ body }) => {
    const step = compileFrame(body);
    return (scope) => step(scope.inner());
  },
  If: ({ branches, otherwise }) => {
    const tested = branches.map(({ test, body }) => ({ test: compile(test), body: compileBody(body) }));
    const last = compileBody(otherwise);
    return (scope) => {
      for (const { test, body } of tested) if (truth(test(scope))) return body(scope);
      return last(scope);
    };
  },
  Macro: (node) => {
    const plan = planMacro(node, compileFrame(node.body));
    return (scope) => {
      scope.set(node.name, new Macro(plan, scope));
      return "done";
    };
  },
  Print: ({ value }) => {
    const code = compile(value);
    return (scope) => {
      scope.run.write(str(code(scope)));
      return "done";
    };
  },
  Refused:
    ({ kind, reason, parts }) =>
    (scope) => {
      for (const part of parts) compile(part)(scope);
      return raise(kind, reason);
    },
  Set: ({ target, value }) => {
    const [assign, code] = [compileTarget(target), compile(value)];
    return (scope) => {
      checkNamespaces(target, scope);
      assign(scope, code(scope));
      return "done";
    };
  },
  SetBlock: ({ target, filter, body }) => {
    const [assign, step] = [compileTarget(target), compileFrame(body)];
    const text = (scope: Scope) => scope.run.capture(() => step(scope));
    const value = filter === null ? text : compileFilter(filter, text);
    return (scope) => {
      assign(scope, value(scope.inner()));
      return "done";
    };
  },
  With: ({ targets, values, body }) => {
    const pairs = targets.map((target, index) => ({ assign: compileTarget(target), value: compile(values[index]!) }));
    const step = compileFrame(body);
    return (scope) => {
      const inner = scope.inner();
      for (const { assign, value } of pairs) assign(inner, value(scope));
      return step(inner);
    };
  },
};

/** Makes statements ready to be run one after another; faults get the line of their statement. */
function compileBody(body: readonly Statement[]): Step {
  const steps = body.map(compileStatement);
  if (steps.length === 1) return steps[0]!;
  return (scope) => {
    for (const step of steps) {
      const signal = step(scope);
      if (signal !== "done") return signal;
    }
    return "done";
  };
}

/** A body with a scope of its own, in which its hidden names are undefined at first. */
export function compileFrame(body: readonly Statement[]): Step {
  const step = compileBody(body);
  const names = hiddenNames(body);
  if (names.length === 0) return step;
  return (scope) => {
    for (const name of names) scope.set(name, new Undefined(`'${name}' is undefined`));
    return step(scope);
  };
}

function compileStatement(node: Statement): Step {
  const step = (compilers[node.type] as (node: Statement) => Step)(node);
  if (node.type === "Data") return step;
  return (scope) => {
    try {
      return step(scope);
    } catch (error) {
      if (error instanceof TemplateFault) error.line ??= node.line;
      throw error;
    }
  };
}

/** Blocks that call or filter write their result as it is, so Python refuses one that is no text. */
function writeText(scope: Scope, value: Value): Signal {
  if (typeof value !== "string" && !(value instanceof PyObject && value.type === "Markup"))
    raise("TypeError", `sequence item 0: expected str instance, ${typeName(value)} found`);
  scope.run.write(str(value));
  return "done";
}

function compileCallBlock({ call: node, macro }: Of<"CallBlock">): Step {
  const plan = planMacro(macro, compileFrame(macro.body));
  const callee = compile(node.of);
  const args: Arguments = { ...node, keywords: node.keywords };
  const bind = compileArguments(args);
  return (scope) => {
    const called = callee(scope);
    const { positional, keywords } = bind(scope);
    if (keywords.has("caller")) raise("TypeError", "got multiple values for keyword argument 'caller'");
    return writeText(scope, call(called, positional, new Map([...keywords, ["caller", new Macro(plan, scope)]])));
  };
}

type Assign = (scope: Scope, value: Value) => void;

function compileTarget(target: Target): Assign {
  if (target.type === "Name") return (scope, value) => scope.set(target.name, value);
  if (target.type === "NamespaceItem") return (scope, value) => (scope.get(target.namespace) as Namespace).set(target.name, value);
  const parts = target.items.map(compileTarget);
  return (scope, value) => {
    for (const [index, item] of unpack(value, parts.length).entries()) parts[index]!(scope, item);
  };
}

function checkNamespaces(target: Target, scope: Scope): void {
  if (target.type === "Tuple") for (const item of target.items) checkNamespaces(item, scope);
  if (target.type === "NamespaceItem" && !(scope.get(target.namespace) instanceof Namespace))
    raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
}

/** What a target's names hold, as one value: what a loop's filter passes on. */
function packed(target: Target, scope: Scope): Value {
  return target.type === "Tuple" ? new Tuple(target.items.map((item) => packed(item, scope))) : scope.get(target.name);
}

function compileFor(node: For): Step {
  const [items, assign] = [compile(node.of), compileTarget(node.target)];
  const [body, otherwise] = [compileFrame(node.body), compileFrame(node.otherwise)];
  const test = node.test === null ? null : compile(node.test);

  const filtered = function* (scope: Scope, value: Value, passes: Code): Generator<Value> {
    const iterator = iterate(value);
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      const inner = scope.inner();
      assign(inner, next.value);
      if (truth(passes(inner))) yield packed(node.target, inner);
    }
  };

  const run = (scope: Scope, value: Value, depth: number): Signal => {
    const source = test === null ? value : new Lazy(filtered(scope, value, test));
    const recurse = node.recursive
      ? (inside: Value, level: number) => scope.run.capture(() => deeper(() => run(scope, inside, level)))
      : null;
    const loop = new Loop(iterate(source), lengthOf(source), depth, recurse);
    // As in Jinja2, only a round that reaches its end counts: rounds that break or continue leave the loop empty.
    let isEmpty = true;
    for (let next = loop.next(); !next.done; next = loop.next()) {
      spend(1);
      const inner = scope.inner();
      assign(inner, next.value);
      inner.set("loop", loop);
      const signal = body(inner);
      if (signal === "break") break;
      if (signal === "done") isEmpty = false;
    }
    return isEmpty ? otherwise(scope.inner()) : "done";
  };
  return (scope) => run(scope, items(scope), 0);
}

function lengthOf(value: Value): number | undefined {
  if (Array.isArray(value)) return value.length;
  if (typeof value === "string") return [...handle(value)].length;
  return value instanceof PyObject ? value.length : undefined;
}
