import { spend } from "../budget.js";
import { raise } from "../fault.js";
import type { Macro as MacroNode } from "../syntax/ast.js";
import { reads } from "../syntax/names.js";
import { Dict, Tuple } from "../values/containers.js";
import { Undefined } from "../values/undefined.js";
import { given, type Keywords, PyObject, type Value } from "../values/value.js";
import { type Code, compile } from "./expressions.js";
import type { Scope } from "./scope.js";
import type { Step } from "./step.js";

/** What is known of a macro before it is defined: its parameters, and which of the special names its body reads. */
export interface MacroPlan {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly default: Code | null }[];
  readonly body: Step;
  readonly readsCaller: boolean;
  readonly readsKeywords: boolean;
  readonly readsVarargs: boolean;
}

/** Plans a macro, or the body of a call block. */
export function planMacro(node: MacroNode, body: Step): MacroPlan {
  const names = reads(node.body);
  const isParameter = (name: string) => node.parameters.some((parameter) => parameter.name === name);
  const caller = node.parameters.find(({ name }) => name === "caller");
  if (names.has("caller") && caller !== undefined && caller.default === null) {
    raise(
      "TemplateAssertionError",
      'When defining macros or call blocks the special "caller" argument must be omitted or be given a default.',
      node.line,
    );
  }
  return {
    name: node.name,
    parameters: node.parameters.map((parameter) => ({ name: parameter.name, default: parameter.default && compile(parameter.default) })),
    body,
    readsCaller: names.has("caller") && !isParameter("caller"),
    readsKeywords: names.has("kwargs") && !isParameter("kwargs"),
    readsVarargs: names.has("varargs") && !isParameter("varargs"),
  };
}

/** A macro with the scope that it was defined in; a call gives the text that its body writes. */
export class Macro extends PyObject {
  readonly type = "Macro";
  readonly #plan: MacroPlan;
  readonly #scope: Scope;

  constructor(plan: MacroPlan, scope: Scope) {
    super();
    this.#plan = plan;
    this.#scope = scope;
  }

  override attribute(name: string): Value | undefined {
    const { parameters, readsCaller, readsKeywords, readsVarargs } = this.#plan;
    const known: Readonly<Record<string, Value>> = {
      name: this.#plan.name,
      arguments: new Tuple(parameters.map((parameter) => parameter.name)),
      catch_kwargs: readsKeywords,
      catch_varargs: readsVarargs,
      caller: readsCaller || parameters.some((parameter) => parameter.name === "caller"),
    };
    return Object.hasOwn(known, name) ? known[name] : undefined;
  }

  override repr(): string {
    return `<Macro '${this.#plan.name}'>`;
  }

  override readonly call = (args: readonly Value[], keywords: Keywords): Value => {
    const { run } = this.#scope;
    spend(1);
    const scope = this.#scope.inner();
    const rest = new Map(keywords);
    this.#bind(scope, args, rest);
    return run.capture(() => this.#plan.body(scope));
  };

  #bind(scope: Scope, args: readonly Value[], rest: Map<string, Value>): void {
    const { name, parameters, readsCaller, readsKeywords, readsVarargs } = this.#plan;
    const values = parameters.map((parameter, index) => {
      if (index < args.length) return args[index];
      const value = rest.get(parameter.name);
      rest.delete(parameter.name);
      return value;
    });
    if (readsCaller) {
      scope.set("caller", callerOf(rest));
      rest.delete("caller");
    }
    if (readsKeywords) scope.set("kwargs", new Dict(rest));
    else if (rest.has("caller"))
      raise("TypeError", `macro '${name}' was invoked with two values for the special caller argument. This is most likely a bug.`);
    else if (rest.size > 0) raise("TypeError", `macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
    if (readsVarargs) scope.set("varargs", new Tuple(args.slice(parameters.length)));
    else if (args.length > parameters.length) raise("TypeError", `macro '${name}' takes not more than ${parameters.length} argument(s)`);
    for (const [index, parameter] of parameters.entries()) {
      const missing = () => new Undefined(`parameter '${parameter.name}' was not provided`);
      scope.set(
        parameter.name,
        given(values[index], () => (parameter.default === null ? missing() : parameter.default(scope))),
      );
    }
  }
}

function callerOf(keywords: ReadonlyMap<string, Value>): Value {
  const caller = keywords.get("caller");
  return caller === undefined || caller === null ? new Undefined("No caller defined") : caller;
}
