import type { Arguments, Call, Comparison, Expression, Filter } from "./ast.js";
import { within } from "./depth.js";
import { describeToken, type TokenStream } from "./stream.js";

const comparisons = new Set(["==", "!=", ">", ">=", "<", "<="]);

/** An expression, with `a if b else c` unless that is left to who asks. */
export function parseExpression(stream: TokenStream, conditional = true): Expression {
  return within(() => (conditional ? parseCondition(stream) : parseOr(stream)));
}

/** One expression, or several with commas between them, which are a tuple. */
export function parseTuple(
  stream: TokenStream,
  how: { readonly conditional?: boolean; readonly ends?: readonly string[]; readonly parentheses?: boolean } = {},
): Expression {
  const { line } = stream.current;
  const items: Expression[] = [];
  let isTuple = false;
  for (;;) {
    if (items.length > 0) stream.expect(",");
    if (stream.is("variable_end", "block_end", ")", ...(how.ends ?? []))) break;
    items.push(parseExpression(stream, how.conditional ?? true));
    if (!stream.is(",")) break;
    isTuple = true;
  }
  if (!isTuple && items.length > 0) return items[0]!;
  if (!isTuple && !how.parentheses) stream.fail(`Expected an expression, got '${describeToken(stream.current)}'`);
  return { type: "Tuple", items, line };
}

function parseCondition(stream: TokenStream): Expression {
  const { line } = stream.current;
  let then = parseOr(stream);
  while (stream.skip("name:if")) {
    const test = parseOr(stream);
    const otherwise = stream.skip("name:else") ? within(() => parseCondition(stream)) : null;
    then = { type: "Condition", test, then, otherwise, line };
  }
  return then;
}

function parseOr(stream: TokenStream): Expression {
  const { line } = stream.current;
  let left = parseAnd(stream);
  while (stream.skip("name:or")) left = { type: "Or", left, right: parseAnd(stream), line };
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  const { line } = stream.current;
  let left = parseNot(stream);
  while (stream.skip("name:and")) left = { type: "And", left, right: parseNot(stream), line };
  return left;
}

function parseNot(stream: TokenStream): Expression {
  const { line } = stream.current;
  return stream.skip("name:not") ? { type: "Not", of: within(() => parseNot(stream)), line } : parseComparison(stream);
}

function parseComparison(stream: TokenStream): Expression {
  const { line } = stream.current;
  const first = parseSum(stream);
  const rest: Comparison[] = [];
  for (;;) {
    let operator: string;
    if (comparisons.has(stream.current.type)) operator = stream.next().type;
    else if (stream.skip("name:in")) operator = "in";
    else if (stream.is("name:not") && stream.following.type === "name" && stream.following.value === "in") {
      stream.next();
      stream.next();
      operator = "not in";
    } else break;
    rest.push({ operator, right: parseSum(stream) });
  }
  return rest.length === 0 ? first : { type: "Compare", first, rest, line };
}

function parseSum(stream: TokenStream): Expression {
  const { line } = stream.current;
  let left = parseConcat(stream);
  while (stream.is("+", "-")) left = { type: "Binary", operator: stream.next().type, left, right: parseConcat(stream), line };
  return left;
}

function parseConcat(stream: TokenStream): Expression {
  const { line } = stream.current;
  const items = [parseProduct(stream)];
  while (stream.skip("~")) items.push(parseProduct(stream));
  return items.length === 1 ? items[0]! : { type: "Concat", items, line };
}

function parseProduct(stream: TokenStream): Expression {
  const { line } = stream.current;
  let left = parsePower(stream);
  while (stream.is("*", "/", "//", "%")) left = { type: "Binary", operator: stream.next().type, left, right: parsePower(stream), line };
  return left;
}

function parsePower(stream: TokenStream): Expression {
  const { line } = stream.current;
  let left = parseUnary(stream);
  while (stream.skip("**")) left = { type: "Binary", operator: "**", left, right: parseUnary(stream), line };
  return left;
}

function parseUnary(stream: TokenStream, filters = true): Expression {
  const { line } = stream.current;
  let node: Expression;
  if (stream.skip("-")) node = { type: "Neg", of: within(() => parseUnary(stream, false)), line };
  else if (stream.skip("+")) node = { type: "Pos", of: within(() => parseUnary(stream, false)), line };
  else node = parsePrimary(stream);
  node = parsePostfix(stream, node);
  return filters ? parseFilters(stream, node) : node;
}

function parsePrimary(stream: TokenStream): Expression {
  const { type, value, line } = stream.next();
  if (type === "name") {
    if (/^[Tt]rue$|^[Ff]alse$/.test(value)) return { type: "Const", value: /^t/i.test(value), line };
    return /^[Nn]one$/.test(value) ? { type: "Const", value: null, line } : { type: "Name", name: value, line };
  }
  if (type === "string") {
    let text = value;
    while (stream.is("string")) text += stream.next().value;
    return { type: "Const", value: text, line };
  }
  if (type === "integer") return { type: "Const", value: BigInt(value.replaceAll("_", "")), line };
  if (type === "float") return { type: "Const", value: Number(value.replaceAll("_", "")), line };
  if (type === "(") {
    const inside = parseTuple(stream, { parentheses: true });
    stream.expect(")");
    return inside;
  }
  if (type === "[") return { type: "List", items: parseItems(stream, "]", () => parseExpression(stream)), line };
  if (type === "{") return { type: "Dict", items: parseItems(stream, "}", () => parsePair(stream)), line };
  return stream.fail(`unexpected '${describeToken({ type, value, line })}'`, line);
}

function parseItems<T>(stream: TokenStream, end: string, parse: () => T): T[] {
  const items: T[] = [];
  while (!stream.is(end)) {
    if (items.length > 0) stream.expect(",");
    if (stream.is(end)) break;
    items.push(parse());
  }
  stream.expect(end);
  return items;
}

function parsePair(stream: TokenStream): readonly [Expression, Expression] {
  const key = parseExpression(stream);
  stream.expect(":");
  return [key, parseExpression(stream)];
}

function parsePostfix(stream: TokenStream, first: Expression): Expression {
  let node = first;
  for (;;) {
    if (stream.is(".", "[")) node = parseSubscript(stream, node);
    else if (stream.is("(")) node = parseCall(stream, node);
    else return node;
  }
}

function parseFilters(stream: TokenStream, first: Expression): Expression {
  let node = first;
  for (;;) {
    if (stream.skip("|")) node = parseFilter(stream, node);
    else if (stream.is("name:is")) node = parseTest(stream, node);
    else if (stream.is("(")) node = parseCall(stream, node);
    else return node;
  }
}

function parseSubscript(stream: TokenStream, of: Expression): Expression {
  const { line, type } = stream.next();
  if (type === ".") {
    const token = stream.next();
    if (token.type === "name") return { type: "Attribute", of, name: token.value, line };
    if (token.type !== "integer") stream.fail("expected name or number", token.line);
    return { type: "Item", of, index: { type: "Const", value: BigInt(token.value.replaceAll("_", "")), line }, line };
  }
  const items: Expression[] = [];
  while (!stream.is("]")) {
    if (items.length > 0) stream.expect(",");
    items.push(parseSubscribed(stream));
  }
  stream.expect("]");
  return { type: "Item", of, index: items.length === 1 ? items[0]! : { type: "Tuple", items, line }, line };
}

function parseSubscribed(stream: TokenStream): Expression {
  const { line } = stream.current;
  const part = () => (stream.is(":", "]", ",") ? null : parseExpression(stream));
  const start = stream.is(":") ? null : parseExpression(stream);
  if (start !== null && !stream.is(":")) return start;
  stream.expect(":");
  const stop = part();
  return { type: "Slice", start, stop, step: stream.skip(":") ? part() : null, line };
}

/** A call of what stands before the parenthesis. */
export function parseCall(stream: TokenStream, of: Expression): Call {
  const { line } = stream.current;
  return { type: "Call", of, ...parseArguments(stream), line };
}

const noArguments: Arguments = { positional: [], keywords: [], spread: null, spreadKeywords: null };

function parseArguments(stream: TokenStream): Arguments {
  const { line } = stream.expect("(");
  const positional: Expression[] = [];
  const keywords: (readonly [string, Expression])[] = [];
  let spread: Expression | null = null;
  let spreadKeywords: Expression | null = null;
  const ensure = (holds: boolean) => holds || stream.fail("invalid syntax for function call expression", line);
  for (let first = true; !stream.is(")"); first = false) {
    if (!first) {
      stream.expect(",");
      if (stream.is(")")) break;
    }
    if (stream.skip("*")) {
      ensure(spread === null && spreadKeywords === null);
      spread = parseExpression(stream);
    } else if (stream.skip("**")) {
      ensure(spreadKeywords === null);
      spreadKeywords = parseExpression(stream);
    } else if (stream.current.type === "name" && stream.following.type === "=") {
      ensure(spreadKeywords === null);
      const name = stream.next().value;
      stream.next();
      keywords.push([name, parseExpression(stream)]);
    } else {
      ensure(spread === null && spreadKeywords === null && keywords.length === 0);
      positional.push(parseExpression(stream));
    }
  }
  stream.expect(")");
  return { positional, keywords, spread, spreadKeywords };
}

/** A filter whose bar has been read. */
export function parseFilter(stream: TokenStream, of: Expression | null): Filter {
  const { line } = stream.current;
  const name = parseDotted(stream);
  return { type: "Filter", name, of, ...(stream.is("(") ? parseArguments(stream) : noArguments), line };
}

function parseDotted(stream: TokenStream): string {
  let name = stream.expect("name").value;
  while (stream.skip(".")) name += `.${stream.expect("name").value}`;
  return name;
}

function parseTest(stream: TokenStream, of: Expression): Expression {
  const { line } = stream.next();
  const negated = stream.skip("name:not");
  const name = parseDotted(stream);
  let args = noArguments;
  if (stream.is("(")) args = parseArguments(stream);
  else if (stream.is("name", "string", "integer", "float", "[", "{") && !stream.is("name:else", "name:or", "name:and")) {
    if (stream.is("name:is")) stream.fail("You cannot chain multiple tests with is");
    args = { ...noArguments, positional: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { type: "Test", name, of, ...args, line };
  return negated ? { type: "Not", of: test, line } : test;
}
