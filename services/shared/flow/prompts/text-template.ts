import { Template } from "@huggingface/jinja";
import { RetortError } from "../../base/errors.js";

/** A text with places to fill in, in Jinja (the language of chat templates): "{{ prompt }}{{ completion }}". */
export interface TextTemplate {
  /** Names that the template reads. */
  readonly names: readonly string[];
  render(values: Readonly<Record<string, unknown>>): string;
}

/** @throws InvalidArgument with what the template's syntax lacks */
export function parseTemplate(source: string): TextTemplate {
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw new RetortError("InvalidArgument", `the template ${JSON.stringify(source)} is no Jinja: ${(error as Error).message}`);
  }
  return { names: namesIn(template.parsed), render: (values) => template.render({ ...values }) };
}

/** Where a node names a function of the language instead of a value. */
const functionOf: Readonly<Record<string, string>> = { CallExpression: "callee", FilterExpression: "filter", TestExpression: "test" };

/** Names that a syntax tree reads and does not itself give a value to. */
function namesIn(root: unknown): string[] {
  const read = new Set<string>();
  const bound = new Set(["loop"]);
  const visit = (node: unknown, into: Set<string>): void => {
    if (Array.isArray(node)) for (const part of node) visit(part, into);
    if (typeof node !== "object" || node === null || Array.isArray(node)) return;
    const { type, value, ...parts } = node as Record<string, unknown>;
    if (type === "Identifier") into.add(value as string);
    else visit(value, into);
    for (const [key, part] of Object.entries(parts)) {
      const namesAFunction = functionOf[type as string] === key && isIdentifier(part);
      if (namesAFunction || (key === "property" && !parts.computed)) continue;
      visit(part, key === "loopvar" || key === "assignee" ? bound : into);
    }
  };
  visit(root, read);
  return [...read].filter((name) => !bound.has(name));
}

const isIdentifier = (node: unknown): boolean => (node as { type?: string } | null)?.type === "Identifier";
