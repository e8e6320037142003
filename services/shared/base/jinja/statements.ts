// Statements of Jinja2, by its grammar, as functions that write.
import { Expressions, type Names, withCaller } from "./expressions.js";
import { TemplateFailure } from "./failure.js";
import { type Assign, forStatement, macroOf, type Parameter } from "./loops.js";
import { type Expression, located, runAll, Scope, type Statement, textOf } from "./scope.js";
import { str } from "./spelling.js";
import type { TokenStream } from "./token-stream.js";
import { Attributes, iterate, truth } from "./values.js";

/** Statements that need other templates: transformers has none to give. */
const loading = new Set(["extends", "from", "import", "include"]);

/** Reads a template's statements. @throws TemplateFailure with the line, for what is no Jinja */
export class Statements {
  readonly #stream: TokenStream;
  readonly #expressions: Expressions;
  readonly #names: Names;
  /** Statements whose end is awaited, innermost last. */
  readonly #open: string[] = [];
  #loops = 0;

  constructor(stream: TokenStream, names: Names) {
    this.#stream = stream;
    this.#names = names;
    this.#expressions = new Expressions(stream, names);
  }

  /** Everything up to the end of the template. */
  all(): Statement[] {
    const body = this.#until();
    if (!this.#stream.is("end")) throw this.#unknown(this.#stream.following.value);
    return body;
  }

  /** Statements up to a tag of one of the names; the stream then stands at the name. */
  #until(...ends: readonly string[]): Statement[] {
    const body: Statement[] = [];
    for (;;) {
      if (this.#stream.is("end")) {
        if (ends.length === 0) return body;
        throw this.#stream.failure(
          `Unexpected end of template. Jinja was looking for the following tags: ${ends.map((end) => `'${end}'`).join(" or ")}. The innermost block that needs to be closed is '${this.#open.at(-1)}'.`,
        );
      }
      const { type, value } = this.#stream.next();
      if (type === "data") body.push((_, out) => void out.write(value));
      else if (type === "variable_begin") body.push(this.#print());
      else {
        if (!this.#stream.is("name")) throw this.#stream.failure("tag name expected");
        if (ends.includes(this.#stream.current.value)) return body;
        const statement = this.#statement();
        if (statement) body.push(statement);
      }
    }
  }

  /** The statements of a block, up to and with its end tag. */
  #block(name: string, ...ends: readonly string[]): { readonly body: Statement[]; readonly end: string } {
    this.#open.push(name);
    this.#stream.expect("block_end");
    const body = this.#until(...ends);
    this.#open.pop();
    return { body, end: this.#stream.next().value };
  }

  #print(): Statement {
    const { line } = this.#stream.current;
    const value = this.#expressions.tuple();
    this.#stream.expect("variable_end");
    const text = located(line, (scope) => str(value(scope)));
    return (scope, out) => void out.write(text(scope) as string);
  }

  #statement(): Statement | undefined {
    const { value: name, line } = this.#stream.next();
    const read: Readonly<Record<string, () => Statement | undefined>> = {
      autoescape: () => this.#autoescape(line),
      block: () => this.#named("block"),
      break: () => this.#jump("break", line),
      call: () => this.#call(line),
      continue: () => this.#jump("continue", line),
      filter: () => this.#filter(),
      for: () => this.#for(),
      generation: () => this.#plain("generation"),
      if: () => this.#if(),
      macro: () => this.#macro(),
      set: () => this.#set(),
      with: () => this.#with(),
    };
    const found = Object.hasOwn(read, name) ? read[name] : undefined;
    if (found) return found();
    if (loading.has(name)) throw new TemplateFailure(`no loader for this environment specified: '${name}' reads another template`, line);
    throw this.#unknown(name);
  }

  #unknown(name: string): TemplateFailure {
    const innermost = this.#open.at(-1);
    const hint = innermost ? ` The innermost block that needs to be closed is '${innermost}'.` : "";
    return this.#stream.failure(`Encountered unknown tag '${name}'.${hint}`);
  }

  #jump(kind: "break" | "continue", line: number): Statement {
    if (this.#loops === 0) throw new TemplateFailure(`'${kind}' outside loop`, line);
    this.#stream.expect("block_end");
    return () => kind;
  }

  #if(): Statement {
    const branches: { readonly condition: Expression; readonly body: Statement[] }[] = [];
    let otherwise: Statement[] = [];
    let end = "elif";
    while (end === "elif") {
      const condition = this.#expressions.tuple(false);
      const block = this.#block("if", "elif", "else", "endif");
      branches.push({ condition, body: block.body });
      end = block.end;
    }
    if (end === "else") otherwise = this.#block("if", "endif").body;
    this.#stream.expect("block_end");
    return (scope, out) => runAll(branches.find(({ condition }) => truth(condition(scope)))?.body ?? otherwise, scope, out);
  }

  #for(): Statement {
    const assign = this.#target(["in"]);
    this.#stream.expect("name", "in");
    const items = this.#expressions.tuple(false, ["recursive"]);
    const condition = this.#stream.skip("name", "if") ? this.#expressions.expression() : undefined;
    const recursive = this.#stream.skip("name", "recursive");
    this.#names.bound.add("loop");
    this.#loops++;
    const { body, end } = this.#block("for", "endfor", "else");
    this.#loops--;
    const otherwise = end === "else" ? this.#block("for", "endfor").body : [];
    this.#stream.expect("block_end");
    return forStatement({ assign, items, condition, recursive, body, otherwise });
  }

  /** What is given a value: a name, several, or an attribute of a namespace. */
  #target(ends: readonly string[], attributes = false): Assign {
    const parts: Assign[] = [];
    let isTuple = false;
    do {
      if (parts.length) isTuple = true;
      if ((ends.length > 0 && this.#stream.is("name", ...ends)) || this.#stream.is("operator", "=")) break;
      parts.push(this.#oneTarget(attributes));
    } while (this.#stream.skip("operator", ","));
    if (!isTuple) return parts[0]!;
    return (scope, value) => {
      const items = iterate(value);
      if (items.length < parts.length)
        throw new TemplateFailure(`not enough values to unpack (expected ${parts.length}, got ${items.length})`);
      if (items.length > parts.length) throw new TemplateFailure(`too many values to unpack (expected ${parts.length})`);
      parts.forEach((part, i) => {
        part(scope, items[i]);
      });
    };
  }

  #oneTarget(attributes: boolean): Assign {
    if (this.#stream.skip("operator", "(")) {
      const inner = this.#target([")"]);
      this.#stream.expect("operator", ")");
      return inner;
    }
    const { value: name, line } = this.#stream.expect("name");
    if (attributes && this.#stream.skip("operator", ".")) {
      const attribute = this.#stream.expect("name").value;
      this.#names.read.add(name);
      return (scope, value) => {
        const owner = scope.get(name);
        if (!(owner instanceof Attributes) || owner.kind !== "Namespace")
          throw new TemplateFailure("cannot assign attribute on non-namespace object", line);
        owner.values.set(attribute, value);
      };
    }
    if (["true", "false", "none", "True", "False", "None"].includes(name)) throw new TemplateFailure(`can't assign to '${name}'`, line);
    this.#names.bound.add(name);
    return (scope, value) => scope.set(name, value);
  }

  #set(): Statement {
    const { line } = this.#stream.current;
    const assign = this.#target([], true);
    if (this.#stream.skip("operator", "=")) {
      const value = this.#expressions.tuple();
      this.#stream.expect("block_end");
      const set = located(line, (scope) => assign(scope, value(scope)));
      return (scope) => void set(scope);
    }
    let written: Expression = (scope) => scope.get(blockText);
    while (this.#stream.is("operator", "|")) written = this.#expressions.filter(written);
    const { body } = this.#block("set", "endset");
    this.#stream.expect("block_end");
    return (scope, out) => {
      const own = new Scope(scope);
      own.set(blockText, textOf(body, own, out));
      assign(scope, written(own));
      return undefined;
    };
  }

  #with(): Statement {
    const targets: { readonly assign: Assign; readonly value: Expression }[] = [];
    while (!this.#stream.is("block_end")) {
      if (targets.length) this.#stream.expect("operator", ",");
      const assign = this.#oneTarget(false);
      this.#stream.expect("operator", "=");
      targets.push({ assign, value: this.#expressions.expression() });
    }
    const { body } = this.#block("with", "endwith");
    this.#stream.expect("block_end");
    return (scope, out) => {
      const own = new Scope(scope);
      for (const { assign, value } of targets) assign(own, value(scope));
      return runAll(body, own, out);
    };
  }

  #filter(): Statement {
    let written: Expression = (scope) => scope.get(blockText);
    written = this.#expressions.filterNamed(written);
    while (this.#stream.is("operator", "|")) written = this.#expressions.filter(written);
    const { body } = this.#block("filter", "endfilter");
    this.#stream.expect("block_end");
    return (scope, out) => {
      const own = new Scope(scope);
      own.set(blockText, textOf(body, own, out));
      out.write(str(written(own)));
      return undefined;
    };
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.#stream.expect("operator", "(");
    while (!this.#stream.is("operator", ")")) {
      if (parameters.length) this.#stream.expect("operator", ",");
      const name = this.#stream.expect("name").value;
      this.#names.bound.add(name);
      const fallback = this.#stream.skip("operator", "=") ? this.#expressions.expression() : undefined;
      if (!fallback && parameters.at(-1)?.fallback) throw this.#stream.failure("non-default argument follows default argument");
      parameters.push({ name, fallback });
    }
    this.#stream.expect("operator", ")");
    return parameters;
  }

  /** The body of a macro, and which of a macro's own names it reads. */
  #macroBody(name: string, end: string): { readonly body: Statement[]; readonly reads: ReadonlySet<string> } {
    const own = ["caller", "kwargs", "varargs"];
    const before = own.filter((one) => this.#names.read.delete(one));
    const outer = this.#loops;
    this.#loops = 0;
    const { body } = this.#block(name, end);
    this.#loops = outer;
    this.#stream.expect("block_end");
    const reads = new Set(own.filter((one) => this.#names.read.delete(one)));
    for (const one of before) this.#names.read.add(one);
    return { body, reads };
  }

  #macro(): Statement {
    const { value: name } = this.#stream.expect("name");
    const parameters = this.#parameters();
    this.#names.bound.add(name);
    const { body, reads } = this.#macroBody("macro", "endmacro");
    return (scope, out) => void scope.set(name, macroOf(name, parameters, body, reads, scope, out));
  }

  #call(line: number): Statement {
    const parameters = this.#stream.is("operator", "(") ? this.#parameters() : [];
    const call = withCaller(this.#expressions.tuple());
    if (!call) throw new TemplateFailure("expected call", line);
    const { body, reads } = this.#macroBody("call", "endcall");
    return (scope, out) => void out.write(str(call(scope, macroOf("caller", parameters, body, reads, scope, out))));
  }

  #autoescape(line: number): Statement {
    const value = this.#expressions.expression();
    const { body } = this.#block("autoescape", "endautoescape");
    this.#stream.expect("block_end");
    return (scope, out) => {
      if (truth(value(scope))) throw new TemplateFailure("autoescape true is not supported in templates here", line);
      return runAll(body, new Scope(scope), out);
    };
  }

  #named(kind: string): Statement {
    const { value: name } = this.#stream.expect("name");
    const { body } = this.#block(kind, `end${kind}`);
    this.#stream.skip("name", name);
    this.#stream.expect("block_end");
    return (scope, out) => runAll(body, new Scope(scope), out);
  }

  #plain(kind: string): Statement {
    const { body } = this.#block(kind, `end${kind}`);
    this.#stream.expect("block_end");
    return (scope, out) => runAll(body, new Scope(scope), out);
  }
}

/** What a block wrote, for the filters behind it: no template can use this as a name. */
const blockText = "block text";
