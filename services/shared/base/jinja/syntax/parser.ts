import { raise } from "../fault.js";
import type { Branch, Call, Expression, Filter, Parameter, Statement, Target } from "./ast.js";
import { within } from "./depth.js";
import { parseExpression, parseFilter, parseTuple } from "./expressions.js";
import { describeToken, matches, TokenStream } from "./stream.js";

type Body = Statement[];

/** Parses a template into its statements; throws TemplateSyntaxError faults. */
export function parseTemplateSource(source: string): readonly Statement[] {
  return new Parser(new TokenStream(source)).body([]);
}

class Parser {
  readonly #stream: TokenStream;
  readonly #ends: (readonly string[])[] = [];
  readonly #tags: string[] = [];

  constructor(stream: TokenStream) {
    this.#stream = stream;
  }

  /** Statements up to one of the end tags (the stream then stands on its name) or, without any, to the end of the template. */
  body(ends: readonly string[]): Body {
    const stream = this.#stream;
    if (ends.length > 0) this.#ends.push(ends);
    const body: Body = [];
    while (!stream.is("eof")) {
      const { type, value, line } = stream.next();
      if (type === "data") body.push({ type: "Data", text: value, line });
      else if (type === "variable_begin") {
        body.push({ type: "Print", value: parseTuple(stream), line });
        stream.expect("variable_end");
      } else {
        if (ends.length > 0 && stream.is(...ends)) break;
        body.push(...this.#statement());
        stream.expect("block_end");
      }
    }
    if (ends.length > 0 && stream.is("eof")) this.#unexpected(null);
    if (ends.length > 0) this.#ends.pop();
    return body;
  }

  #statement(): Body {
    const { type, value, line } = this.#stream.current;
    if (type !== "name") this.#stream.fail("tag name expected");
    const parse = Object.hasOwn(statements, value) ? statements[value] : undefined;
    if (parse === undefined) return this.#unexpected(value);
    this.#stream.next();
    this.#tags.push(value);
    const parsed = within(() => parse(this, this.#stream, line));
    this.#tags.pop();
    return Array.isArray(parsed) ? parsed : [parsed as Statement];
  }

  /** The body of a tag: the rest of the tag, the statements, and the end tag's name. */
  block(...ends: string[]): { body: Body; end: string } {
    this.#stream.skip(":");
    this.#stream.expect("block_end");
    const body = this.body(ends.map((end) => `name:${end}`));
    return { body, end: this.#stream.next().value };
  }

  #unexpected(name: string | null): never {
    const looked = this.#ends.at(-1)?.map((end) => `'${end.slice(5)}'`);
    const parts = [name === null ? "Unexpected end of template." : `Encountered unknown tag '${name}'.`];
    if (looked !== undefined) parts.push(`Jinja was looking for the following tags: ${looked.join(" or ")}.`);
    if (this.#tags.length > 0) parts.push(`The innermost block that needs to be closed is '${this.#tags.at(-1)}'.`);
    return this.#stream.fail(parts.join(" "));
  }
}

type ParseStatement = (parser: Parser, stream: TokenStream, line: number) => Statement | readonly Statement[];

/** How each tag is read, whose name has been read. */
const statements: Readonly<Record<string, ParseStatement>> = {
  autoescape: (parser, stream, line) => {
    const value = parseExpression(stream);
    return { type: "Autoescape", value, body: parser.block("endautoescape").body, line };
  },
  block: parseBlock,
  break: (_, __, line) => ({ type: "Break", line }),
  call: parseCallBlock,
  continue: (_, __, line) => ({ type: "Continue", line }),
  extends: (_, stream, line) => refused([parseExpression(stream)], line),
  filter: (parser, stream, line) => {
    const filter = parseFilterChain(stream, parseFilter(stream, null));
    return { type: "FilterBlock", filter, body: parser.block("endfilter").body, line };
  },
  for: parseFor,
  from: parseFrom,
  generation: (parser, _, line) => ({ type: "Generation", body: parser.block("endgeneration").body, line }),
  if: parseIf,
  import: (_, stream, line) => {
    const source = parseExpression(stream);
    stream.expect("name:as");
    stream.expect("name");
    parseContext(stream);
    return refused([source], line);
  },
  include: (_, stream, line) => {
    const source = parseExpression(stream);
    if (stream.is("name:ignore") && matches(stream.following, "name:missing")) {
      stream.next();
      stream.next();
    }
    parseContext(stream);
    return refused([source], line);
  },
  macro: (parser, stream, line) => {
    const name = stream.expect("name").value;
    const parameters = parseSignature(stream);
    return { type: "Macro", name, parameters, body: parser.block("endmacro").body, line };
  },
  print: (_, stream, line) => {
    const printed: Statement[] = [];
    while (!stream.is("block_end")) {
      if (printed.length > 0) stream.expect(",");
      printed.push({ type: "Print", value: parseExpression(stream), line });
    }
    return printed;
  },
  set: parseSet,
  with: parseWith,
};

function refused(parts: readonly Expression[], line: number): Statement {
  return { type: "Refused", kind: "TypeError", reason: "no loader for this environment specified", parts, line };
}

function parseContext(stream: TokenStream): boolean {
  if (!stream.is("name:with", "name:without") || !matches(stream.following, "name:context")) return false;
  stream.next();
  stream.next();
  return true;
}

function parseFrom(_: Parser, stream: TokenStream, line: number): Statement {
  const source = parseExpression(stream);
  stream.expect("name:import");
  for (let first = true; ; first = false) {
    if (!first) stream.expect(",");
    if (parseContext(stream)) break;
    const { value } = stream.expect("name");
    if (value.startsWith("_")) raise("TemplateAssertionError", "names starting with an underline can not be imported", line);
    if (stream.skip("name:as")) stream.expect("name");
    if (parseContext(stream) || !stream.is(",")) break;
  }
  return refused([source], line);
}

function parseFilterChain(stream: TokenStream, first: Filter): Filter {
  let filter = first;
  while (stream.skip("|")) filter = parseFilter(stream, filter);
  return filter;
}

function parseBlock(parser: Parser, stream: TokenStream, line: number): Statement {
  const name = stream.expect("name").value;
  const scoped = stream.skip("name:scoped");
  const required = stream.skip("name:required");
  if (stream.is("-")) stream.fail("Block names in Jinja have to be valid Python identifiers and may not contain hyphens");
  const { body } = parser.block("endblock");
  if (required && body.some((part) => part.type !== "Data" || part.text.trim() !== ""))
    stream.fail("Required blocks can only contain comments or whitespace");
  stream.skip(`name:${name}`);
  if (required) return { type: "Refused", kind: "TemplateRuntimeError", reason: `Required block '${name}' not found`, parts: [], line };
  return { type: "Block", name, scoped, body, line };
}

function parseCallBlock(parser: Parser, stream: TokenStream, line: number): Statement {
  const parameters = stream.is("(") ? parseSignature(stream) : [];
  const call = parseExpression(stream);
  if (call.type !== "Call") stream.fail("expected call", line);
  const { body } = parser.block("endcall");
  return { type: "CallBlock", call: call as Call, macro: { type: "Macro", name: "caller", parameters, body, line }, line };
}

function parseFor(parser: Parser, stream: TokenStream, line: number): Statement {
  const target = parseTarget(stream, { ends: ["name:in"] });
  stream.expect("name:in");
  const of = parseTuple(stream, { conditional: false, ends: ["name:recursive"] });
  const test = stream.skip("name:if") ? parseExpression(stream) : null;
  const recursive = stream.skip("name:recursive");
  const { body, end } = parser.block("endfor", "else");
  const otherwise = end === "else" ? parser.block("endfor").body : [];
  return { type: "For", target, of, test, recursive, body, otherwise, line };
}

function parseIf(parser: Parser, stream: TokenStream, line: number): Statement {
  const branches: Branch[] = [];
  for (;;) {
    const test = parseTuple(stream, { conditional: false });
    const { body, end } = parser.block("elif", "else", "endif");
    branches.push({ test, body });
    if (end === "elif") continue;
    return { type: "If", branches, otherwise: end === "else" ? parser.block("endif").body : [], line };
  }
}

function parseSet(parser: Parser, stream: TokenStream, line: number): Statement {
  const target = parseTarget(stream, { namespaces: true });
  if (stream.skip("=")) return { type: "Set", target, value: parseTuple(stream), line };
  const filter = stream.skip("|") ? parseFilterChain(stream, parseFilter(stream, null)) : null;
  return { type: "SetBlock", target, filter, body: parser.block("endset").body, line };
}

function parseWith(parser: Parser, stream: TokenStream, line: number): Statement {
  const targets: Target[] = [];
  const values: Expression[] = [];
  while (!stream.is("block_end")) {
    if (targets.length > 0) stream.expect(",");
    targets.push(parseTarget(stream));
    stream.expect("=");
    values.push(parseExpression(stream));
  }
  return { type: "With", targets, values, body: parser.block("endwith").body, line };
}

function parseSignature(stream: TokenStream): Parameter[] {
  const parameters: Parameter[] = [];
  stream.expect("(");
  while (!stream.is(")")) {
    if (parameters.length > 0) stream.expect(",");
    const { value: name } = stream.expect("name");
    const value = stream.skip("=") ? parseExpression(stream) : null;
    if (value === null && parameters.at(-1)?.default) stream.fail("non-default argument follows default argument");
    parameters.push({ name, default: value });
  }
  stream.expect(")");
  return parameters;
}

interface TargetOptions {
  readonly ends?: readonly string[];
  readonly namespaces?: boolean;
}

function parseTarget(stream: TokenStream, options: TargetOptions = {}): Target {
  const { line } = stream.current;
  const items: Target[] = [];
  let isTuple = false;
  for (;;) {
    if (items.length > 0) stream.expect(",");
    if (stream.is("variable_end", "block_end", ")", ...(options.ends ?? []))) break;
    items.push(parseTargetItem(stream, options));
    if (!stream.is(",")) break;
    isTuple = true;
  }
  if (isTuple) return { type: "Tuple", items, line };
  return items[0] ?? stream.fail(`Expected an expression, got '${describeToken(stream.current)}'`);
}

const constants = new Set(["true", "false", "none", "True", "False", "None"]);

function parseTargetItem(stream: TokenStream, options: TargetOptions): Target {
  const { type, value, line } = stream.next();
  if (type === "(") {
    const inside = stream.is(")") ? ({ type: "Tuple", items: [], line } as const) : parseTarget(stream);
    stream.expect(")");
    return inside;
  }
  if (type !== "name") stream.fail(`can't assign to '${describeToken({ type, value, line })}'`, line);
  if (constants.has(value)) stream.fail("can't assign to 'const'", line);
  if (!options.namespaces || !stream.skip(".")) return { type: "Name", name: value, line };
  return { type: "NamespaceItem", namespace: value, name: stream.expect("name").value, line };
}
