import { raise } from "../fault.js";
import type { Expression, Statement, Target } from "./ast.js";
import { partsOf } from "./names.js";

/** What exists by name. */
export interface Known {
  readonly filters: { has(name: string): boolean };
  readonly tests: { has(name: string): boolean };
}

interface Place {
  /** Whether the statement may never be reached, so that an unknown filter is an error only when it is. */
  readonly soft: boolean;
  readonly inLoop: boolean;
  readonly known: Known;
  readonly blocks: Set<string>;
}

/** Refuses what Jinja2 refuses before anything is rendered: unknown filters and tests, break outside of a loop, a block's name used twice. */
export function check(body: readonly Statement[], known: Known): void {
  checkBody(body, { soft: false, inLoop: false, known, blocks: new Set() });
}

function checkBody(body: readonly Statement[], place: Place): void {
  for (const node of body) checkStatement(node, place);
}

function checkStatement(node: Statement, place: Place): void {
  const expression = (part: Expression | null) => part !== null && checkExpression(part, place);
  const inner: Place = { ...place, soft: false };
  const apart: Place = { ...inner, inLoop: false };
  switch (node.type) {
    case "Print":
    case "Set":
      expression(node.value);
      break;
    case "For":
      checkFor(node, place);
      break;
    case "If":
      for (const { test, body } of node.branches) {
        checkExpression(test, { ...place, soft: true });
        checkBody(body, { ...place, soft: true });
      }
      checkBody(node.otherwise, { ...place, soft: true });
      break;
    case "Macro":
      checkMacro(node, apart);
      break;
    case "CallBlock":
      checkExpression(node.call, place);
      checkMacro(node.macro, apart);
      break;
    case "FilterBlock":
    case "SetBlock":
      expression(node.filter);
      checkBody(node.body, inner);
      break;
    case "With":
      for (const value of node.values) expression(value);
      checkBody(node.body, inner);
      break;
    case "Autoescape":
      expression(node.value);
      checkBody(node.body, inner);
      break;
    case "Generation":
      checkBody(node.body, apart);
      break;
    case "Block":
      if (place.blocks.has(node.name)) raise("TemplateAssertionError", `block '${node.name}' defined twice`, node.line);
      place.blocks.add(node.name);
      checkBody(node.body, apart);
      break;
    case "Break":
    case "Continue":
      if (!place.inLoop) raise("SyntaxError", `'${node.type.toLowerCase()}' outside loop`, node.line);
  }
}

function checkMacro(node: Extract<Statement, { type: "Macro" }>, place: Place): void {
  const names = node.parameters.map(({ name }) => name);
  if (new Set(names).size < names.length) raise("SyntaxError", "duplicate argument in a macro's definition", node.line);
  for (const parameter of node.parameters) if (parameter.default !== null) checkExpression(parameter.default, place);
  checkBody(node.body, place);
}

function checkFor(node: Extract<Statement, { type: "For" }>, place: Place): void {
  const inner: Place = { ...place, soft: false, inLoop: true };
  if (assignsLoop(node.target) || storesLoop(node.body) || storesLoop(node.otherwise))
    raise("TemplateAssertionError", "Can't assign to special loop variable in for-loop target", node.line);
  checkExpression(node.of, place);
  if (node.test !== null) checkExpression(node.test, inner);
  checkBody(node.body, inner);
  checkBody(node.otherwise, { ...inner, inLoop: place.inLoop });
}

function assignsLoop(target: Target): boolean {
  if (target.type === "Tuple") return target.items.some(assignsLoop);
  return target.type === "Name" && target.name === "loop";
}

function storesLoop(body: readonly Statement[]): boolean {
  return body.some((node) => {
    if (node.type === "If") return node.branches.some((branch) => storesLoop(branch.body)) || storesLoop(node.otherwise);
    if ((node.type === "Set" || node.type === "SetBlock" || node.type === "For") && assignsLoop(node.target)) return true;
    return "body" in node && storesLoop(node.body);
  });
}

function checkExpression(node: Expression, place: Place): void {
  if (node.type === "Condition") {
    for (const part of partsOf(node)) checkExpression(part, { ...place, soft: true });
    return;
  }
  if (!place.soft && node.type === "Filter" && !place.known.filters.has(node.name))
    raise("TemplateAssertionError", `No filter named '${node.name}'.`, node.line);
  if (!place.soft && node.type === "Test" && !place.known.tests.has(node.name))
    raise("TemplateAssertionError", `No test named '${node.name}'.`, node.line);
  for (const part of partsOf(node)) checkExpression(part, place);
}
