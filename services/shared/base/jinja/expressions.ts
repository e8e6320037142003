// Expressions of Jinja2, by its grammar, as functions of the variables.
import { binary, comparisons, signed } from "./arithmetic.js";
import { TemplateFailure } from "./failure.js";
import { filters } from "./filters.js";
import { attributeOf, callOf, itemOf, sliceOf } from "./members.js";
import { type Expression, located } from "./scope.js";
import { str } from "./spelling.js";
import { tests } from "./tests.js";
import type { TokenStream } from "./token-stream.js";
import { type Arguments, iterate, keyOf, Markup, Tuple, toText, truth, tupleOf, Undefined } from "./values.js";

/** What has been read so far: names that expressions read, and names that statements give a value. */
export interface Names {
  readonly read: Set<string>;
  readonly bound: Set<string>;
}

type Call = (scope: Parameters<Expression>[0]) => Arguments;

const constants: Readonly<Record<string, unknown>> = { true: true, True: true, false: false, False: false, none: null, None: null };

/** Reads expressions. @throws TemplateFailure with the line, for what is no expression */
export class Expressions {
  readonly stream: TokenStream;
  readonly names: Names;

  constructor(stream: TokenStream, names: Names) {
    this.stream = stream;
    this.names = names;
  }

  /** An expression; several separated by commas are a tuple. */
  tuple(conditional = true, ends: readonly string[] = []): Expression {
    const { line } = this.stream.current;
    const parts: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (parts.length && !this.stream.skip("operator", ",")) break;
      if (parts.length) isTuple = true;
      if (this.#endsTuple(ends)) break;
      parts.push(conditional ? this.expression() : this.#or());
    }
    if (!isTuple) {
      if (parts[0]) return parts[0];
      throw this.stream.failure(`Expected an expression, got '${this.stream.current.value || "end of print statement"}'`);
    }
    return located(line, (scope) => tupleOf(...parts.map((part) => part(scope))));
  }

  #endsTuple(ends: readonly string[]): boolean {
    return (
      this.stream.is("variable_end") ||
      this.stream.is("block_end") ||
      this.stream.is("operator", ")", "]", "}") ||
      this.stream.is("name", ...(ends.length ? ends : ["\0"]))
    );
  }

  /** One expression, with `a if b else c`. */
  expression(conditional = true): Expression {
    let value = this.#or();
    while (conditional && this.stream.skip("name", "if")) {
      const [then, condition] = [value, this.#or()];
      const otherwise = this.stream.skip("name", "else") ? this.expression() : undefined;
      value = (scope) => {
        if (truth(condition(scope))) return then(scope);
        return otherwise ? otherwise(scope) : new Undefined("the inline if-expression evaluated to false and no else section was defined.");
      };
    }
    return value;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.stream.skip("name", "or")) {
      const [first, second] = [left, this.#and()];
      left = (scope) => {
        const value = first(scope);
        return truth(value) ? value : second(scope);
      };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.stream.skip("name", "and")) {
      const [first, second] = [left, this.#not()];
      left = (scope) => {
        const value = first(scope);
        return truth(value) ? second(scope) : value;
      };
    }
    return left;
  }

  #not(): Expression {
    if (!this.stream.skip("name", "not")) return this.#compare();
    const value = this.#not();
    return (scope) => !truth(value(scope));
  }

  #compare(): Expression {
    const { line } = this.stream.current;
    const first = this.#sum();
    const rest: [(a: unknown, b: unknown) => boolean, Expression][] = [];
    for (let operator = this.#comparison(); operator; operator = this.#comparison()) rest.push([comparisons[operator]!, this.#sum()]);
    if (rest.length === 0) return first;
    return located(line, (scope) => {
      let left = first(scope);
      return rest.every(([holds, next]) => {
        const right = next(scope);
        const found = holds(left, right);
        left = right;
        return found;
      });
    });
  }

  #comparison(): string | undefined {
    if (this.stream.is("operator", "==", "!=", "<", "<=", ">", ">=")) return this.stream.next().value;
    if (this.stream.skip("name", "in")) return "in";
    if (!this.stream.is("name", "not") || this.stream.following.value !== "in" || this.stream.following.type !== "name") return undefined;
    this.stream.next();
    this.stream.next();
    return "notin";
  }

  #sum(): Expression {
    return this.#chain(["+", "-"], () => this.#concat());
  }

  #concat(): Expression {
    const parts = [this.#product()];
    while (this.stream.skip("operator", "~")) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : (scope) => parts.map((part) => str(part(scope))).join("");
  }

  #product(): Expression {
    return this.#chain(["*", "/", "//", "%"], () => this.#chain(["**"], () => this.unary()));
  }

  #chain(operators: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    while (this.stream.is("operator", ...operators)) {
      const { value, line } = this.stream.next();
      const [first, second, apply] = [left, operand(), binary[value]!];
      left = located(line, (scope) => apply(first(scope), second(scope)));
    }
    return left;
  }

  unary(withFilters = true): Expression {
    const { line } = this.stream.current;
    let value: Expression;
    if (this.stream.is("operator", "-", "+")) {
      const negative = this.stream.next().value === "-";
      const operand = this.unary(false);
      value = located(line, (scope) => signed(operand(scope), negative));
    } else value = this.#primary();
    value = this.#postfix(value);
    return withFilters ? this.#filtered(value) : value;
  }

  #primary(): Expression {
    const token = this.stream.next();
    const { type, value, line } = token;
    if (type === "name") {
      if (Object.hasOwn(constants, value)) return () => constants[value];
      this.names.read.add(value);
      return (scope) => scope.get(value);
    }
    if (type === "string") {
      let text = value;
      while (this.stream.is("string")) text += this.stream.next().value;
      return () => text;
    }
    if (type === "integer") {
      const digits = value.replaceAll("_", "");
      const whole = BigInt(/^0+$/.test(digits) ? "0" : digits);
      return () => whole;
    }
    if (type === "float") {
      const number = Number(value.replaceAll("_", ""));
      return () => number;
    }
    if (type === "operator" && value === "(") {
      if (this.stream.skip("operator", ")")) return () => new Tuple();
      const inner = this.tuple();
      this.stream.expect("operator", ")");
      return inner;
    }
    if (type === "operator" && value === "[") return this.#list();
    if (type === "operator" && value === "{") return this.#dict();
    throw new TemplateFailure(type === "end" ? "unexpected end of template" : `unexpected '${value || type.replace("_", " of ")}'`, line);
  }

  #list(): Expression {
    const items: Expression[] = [];
    while (!this.stream.is("operator", "]")) {
      if (items.length) this.stream.expect("operator", ",");
      if (this.stream.is("operator", "]")) break;
      items.push(this.expression());
    }
    this.stream.expect("operator", "]");
    return (scope) => items.map((item) => item(scope));
  }

  #dict(): Expression {
    const items: [Expression, Expression][] = [];
    while (!this.stream.is("operator", "}")) {
      if (items.length) this.stream.expect("operator", ",");
      if (this.stream.is("operator", "}")) break;
      const key = this.expression();
      this.stream.expect("operator", ":");
      items.push([key, this.expression()]);
    }
    this.stream.expect("operator", "}");
    return (scope) => new Map(items.map(([key, value]) => [keyOf(key(scope)), value(scope)]));
  }

  #postfix(value: Expression): Expression {
    let found = value;
    for (;;) {
      if (this.stream.is("operator", ".")) found = this.#attribute(found);
      else if (this.stream.is("operator", "[")) found = this.#item(found);
      else if (this.stream.is("operator", "(")) found = this.#called(found);
      else return found;
    }
  }

  #attribute(value: Expression): Expression {
    const { line } = this.stream.next();
    if (this.stream.is("integer")) {
      const index = BigInt(this.stream.next().value);
      return located(line, (scope) => itemOf(value(scope), index));
    }
    const name = this.stream.expect("name").value;
    return located(line, (scope) => attributeOf(value(scope), name));
  }

  #item(value: Expression): Expression {
    const { line } = this.stream.next();
    const parts: Expression[] = [];
    let cut: ((scope: Parameters<Expression>[0], of: unknown) => unknown) | undefined;
    while (!this.stream.is("operator", "]")) {
      if (parts.length || cut) this.stream.expect("operator", ",");
      const found = this.#subscript();
      if (typeof found === "function") parts.push(found);
      else cut = found.slice;
    }
    this.stream.expect("operator", "]");
    if (cut && parts.length) throw new TemplateFailure("a slice beside other subscripts is not supported", line);
    if (cut) {
      const slice = cut;
      return located(line, (scope) => slice(scope, value(scope)));
    }
    if (parts.length === 0) throw new TemplateFailure("expected subscript expression", line);
    const key: Expression = parts.length === 1 ? parts[0]! : (scope) => tupleOf(...parts.map((part) => part(scope)));
    return located(line, (scope) => itemOf(value(scope), key(scope)));
  }

  #subscript(): Expression | { slice: (scope: Parameters<Expression>[0], of: unknown) => unknown } {
    const bounds: (Expression | undefined)[] = [];
    if (!this.stream.is("operator", ":")) {
      const first = this.expression();
      if (!this.stream.is("operator", ":")) return first;
      bounds.push(first);
    } else bounds.push(undefined);
    while (bounds.length < 3 && this.stream.skip("operator", ":"))
      bounds.push(this.stream.is("operator", ":", "]", ",") ? undefined : this.expression());
    const [start, stop, step] = bounds;
    return { slice: (scope, of) => sliceOf(of, start?.(scope), stop?.(scope), step?.(scope)) };
  }

  #called(value: Expression): Expression {
    const { line } = this.stream.current;
    const args = this.callArguments();
    const call = located(line, (scope) => callOf(value(scope), args(scope)));
    calls.set(call, (scope, caller) => {
      const { list, named } = args(scope);
      return callOf(value(scope), { list, named: new Map([...named, ["caller", caller]]) });
    });
    return call;
  }

  /** The arguments between parentheses. */
  callArguments(): Call {
    this.stream.expect("operator", "(");
    const list: { readonly value: Expression; readonly spread: boolean }[] = [];
    const named: { readonly name: string | undefined; readonly value: Expression }[] = [];
    let first = true;
    while (!this.stream.is("operator", ")")) {
      if (!first) this.stream.expect("operator", ",");
      first = false;
      if (this.stream.is("operator", ")")) break;
      if (this.stream.skip("operator", "*")) list.push({ value: this.expression(), spread: true });
      else if (this.stream.skip("operator", "**")) named.push({ name: undefined, value: this.expression() });
      else if (this.stream.is("name") && this.stream.following.type === "operator" && this.stream.following.value === "=") {
        const name = this.stream.next().value;
        this.stream.next();
        named.push({ name, value: this.expression() });
      } else {
        if (named.length) throw this.stream.failure("invalid syntax for function call expression");
        list.push({ value: this.expression(), spread: false });
      }
    }
    this.stream.expect("operator", ")");
    return (scope) => ({
      list: list.flatMap(({ value, spread }) => (spread ? iterate(value(scope)) : [value(scope)])),
      named: new Map(
        named.flatMap(({ name, value }) => (name === undefined ? spreadNames(value(scope)) : [[name, value(scope)] as const])),
      ),
    });
  }

  #filtered(value: Expression): Expression {
    let found = value;
    for (;;) {
      if (this.stream.is("operator", "|")) found = this.filter(found);
      else if (this.stream.is("name", "is")) found = this.#tested(found);
      else if (this.stream.is("operator", "(")) found = this.#called(found);
      else return found;
    }
  }

  /** `value|name(arguments)`, at the bar. */
  filter(value: Expression): Expression {
    this.stream.expect("operator", "|");
    return this.filterNamed(value);
  }

  /** As {@link filter}, at the filter's name. */
  filterNamed(value: Expression): Expression {
    const { line } = this.stream.current;
    const name = this.#dotted();
    const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
    if (!filter) throw new TemplateFailure(`No filter named '${name}'.`, line);
    const args = this.stream.is("operator", "(") ? this.callArguments() : noArguments;
    return located(line, (scope) => {
      const given = value(scope);
      if (given instanceof Markup && !ofMarkup.has(name))
        throw new TemplateFailure(`the filter ${name} on text that is HTML is not supported in templates here`);
      return filter(given, args(scope));
    });
  }

  #dotted(): string {
    let name = this.stream.expect("name").value;
    while (this.stream.skip("operator", ".")) name += `.${this.stream.expect("name").value}`;
    return name;
  }

  #tested(value: Expression): Expression {
    const { line } = this.stream.next();
    const negated = this.stream.skip("name", "not");
    const name = this.#dotted();
    const test = Object.hasOwn(tests, name) ? tests[name] : undefined;
    if (!test) throw new TemplateFailure(`No test named '${name}'.`, line);
    const args = this.#testArguments();
    return located(line, (scope) => test(value(scope), args(scope)) !== negated);
  }

  #testArguments(): Call {
    if (this.stream.is("operator", "(")) return this.callArguments();
    const { type, value } = this.stream.current;
    const begins = ["name", "string", "integer", "float"].includes(type) || (type === "operator" && ["(", "[", "{"].includes(value));
    if (!begins || (type === "name" && ["else", "or", "and"].includes(value))) return noArguments;
    if (type === "name" && value === "is") throw this.stream.failure("You cannot chain multiple tests with is");
    const argument = this.#postfix(this.#primary());
    return (scope) => ({ list: [argument(scope)], named: new Map() });
  }
}

/** Filters that take text that is HTML. */
const ofMarkup = new Set(["d", "default", "e", "escape", "forceescape", "safe", "string", "tojson"]);

/** Calls, as they are made with one more argument: the caller of a call block. */
const calls = new WeakMap<Expression, (scope: Parameters<Expression>[0], caller: unknown) => unknown>();

/** An expression that is a call, to be made with a caller; undefined if it is none. */
export const withCaller = (expression: Expression) => calls.get(expression);

const noArguments: Call = () => ({ list: [], named: new Map() });

function spreadNames(value: unknown): (readonly [string, unknown])[] {
  if (!(value instanceof Map)) throw new TemplateFailure("argument after ** must be a mapping");
  return [...value].map(([key, part]) => [toText(key, "a keyword"), part] as const);
}
