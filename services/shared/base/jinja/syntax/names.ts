import type { Arguments, Expression, Macro, Statement, Target } from "./ast.js";

type Body = readonly Statement[];

/** Names that statements read, wherever they get a value. */
export function reads(body: Body): ReadonlySet<string> {
  const found = new Set<string>();
  visit(body, new Set(), (name) => found.add(name));
  return found;
}

/** Names that a template may read from outside: those read where no statement before has certainly given them a value. */
export function freeNames(body: Body): readonly string[] {
  const found = new Set<string>();
  visit(body, new Set(), (name, bound) => bound.has(name) || found.add(name));
  return [...found];
}

type Read = (name: string, bound: ReadonlySet<string>) => void;

/** Walks statements in their order; `bound` are the names that have a value, and grows. */
function visit(body: Body, bound: Set<string>, read: Read): void {
  for (const node of body) visitStatement(node, bound, read);
}

function visitStatement(node: Statement, bound: Set<string>, read: Read): void {
  const expression = (part: Expression | null) => part !== null && visitExpression(part, bound, read);
  const within = (inner: Body, ...names: string[]) => visit(inner, new Set([...bound, ...names]), read);
  switch (node.type) {
    case "Print":
      expression(node.value);
      break;
    case "For":
      visitFor(node, bound, read);
      break;
    case "If":
      visitIf(node, bound, read);
      break;
    case "Macro":
      bound.add(node.name);
      visitMacro(node, bound, read);
      break;
    case "CallBlock":
      visitExpression(node.call, bound, read);
      visitMacro(node.macro, bound, read);
      break;
    case "FilterBlock":
      expression(node.filter);
      within(node.body);
      break;
    case "With":
      for (const value of node.values) expression(value);
      within(node.body, ...node.targets.flatMap(namesOf));
      break;
    case "Set":
      expression(node.value);
      bind(node.target, bound, read);
      break;
    case "SetBlock":
      expression(node.filter);
      within(node.body);
      bind(node.target, bound, read);
      break;
    case "Autoescape":
      expression(node.value);
      within(node.body);
      break;
    case "Generation":
    case "Block":
      within(node.body);
      break;
    case "Refused":
      for (const part of node.parts) expression(part);
  }
}

function bind(target: Target, bound: Set<string>, read: Read): void {
  if (target.type === "Tuple") for (const item of target.items) bind(item, bound, read);
  else if (target.type === "NamespaceItem") read(target.namespace, bound);
  else bound.add(target.name);
}

function namesOf(target: Target): string[] {
  if (target.type === "Tuple") return target.items.flatMap(namesOf);
  return target.type === "Name" ? [target.name] : [];
}

function visitFor(node: Extract<Statement, { type: "For" }>, bound: Set<string>, read: Read): void {
  visitExpression(node.of, bound, read);
  const items = new Set([...bound, ...namesOf(node.target)]);
  if (node.test !== null) visitExpression(node.test, items, read);
  visit(node.body, new Set([...items, "loop"]), read);
  visit(node.otherwise, new Set(bound), read);
}

function visitIf(node: Extract<Statement, { type: "If" }>, bound: Set<string>, read: Read): void {
  const ends = [...node.branches, { test: null, body: node.otherwise }].map(({ test, body }) => {
    if (test !== null) visitExpression(test, bound, read);
    const inner = new Set(bound);
    visit(body, inner, read);
    return inner;
  });
  for (const name of ends[0]!) if (ends.every((end) => end.has(name))) bound.add(name);
}

function visitMacro(node: Macro, bound: Set<string>, read: Read): void {
  const inner = new Set([...bound, ...node.parameters.map(({ name }) => name)]);
  for (const parameter of node.parameters) if (parameter.default !== null) visitExpression(parameter.default, inner, read);
  visit(node.body, new Set([...inner, "caller", "kwargs", "varargs"]), read);
}

function visitExpression(node: Expression, bound: ReadonlySet<string>, read: Read): void {
  if (node.type === "Name") read(node.name, bound);
  for (const part of partsOf(node)) visitExpression(part, bound, read);
}

function argumentsOf(node: Arguments): (Expression | null)[] {
  return [...node.positional, ...node.keywords.map(([, value]) => value), node.spread, node.spreadKeywords];
}

/** The expressions within an expression, in the order of their evaluation. */
export function partsOf(node: Expression): readonly Expression[] {
  return nullableParts(node).filter((part) => part !== null);
}

function nullableParts(node: Expression): readonly (Expression | null)[] {
  switch (node.type) {
    case "Const":
    case "Name":
      return [];
    case "Tuple":
    case "List":
    case "Concat":
      return node.items;
    case "Dict":
      return node.items.flat();
    case "Attribute":
    case "Not":
    case "Neg":
    case "Pos":
      return [node.of];
    case "Item":
      return [node.of, node.index];
    case "Slice":
      return [node.start, node.stop, node.step];
    case "Call":
    case "Filter":
    case "Test":
      return [node.of, ...argumentsOf(node)];
    case "Compare":
      return [node.first, ...node.rest.map(({ right }) => right)];
    case "Condition":
      return [node.test, node.then, node.otherwise];
    default:
      return [node.left, node.right];
  }
}
