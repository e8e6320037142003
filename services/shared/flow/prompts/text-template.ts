import { Template } from "@huggingface/jinja";
import { RetortError } from "../../base/errors.js";
import { SpelledNumber } from "../../base/json.js";

/** A text with places to fill in, in Jinja (the language of chat templates): "{{ prompt }}{{ completion }}". */
export interface TextTemplate {
  /** Names that the template reads. */
  readonly names: readonly string[];
  /** @throws InvalidArgument with the template's reason, for a filter that does not exist or a value that it cannot use */
  render(values: Readonly<Record<string, unknown>>): string;
}

/** @throws InvalidArgument with what the template's syntax lacks */
export function parseTemplate(source: string): TextTemplate {
  const refused = (what: string, error: unknown) =>
    new RetortError("InvalidArgument", `the template ${JSON.stringify(source)} ${what}: ${(error as Error).message}`, { cause: error });
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw refused("is no Jinja", error);
  }
  const names = namesIn(template.parsed);
  return {
    names,
    render: (values) => {
      try {
        return template.render(Object.fromEntries(names.map((name) => [name, plain(values[name])])));
      } catch (error) {
        throw refused("cannot be filled in", error);
      }
    },
  };
}

/** Numbers that Jinja does not know, or would spell otherwise, become their text. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint" || value instanceof SpelledNumber) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

type Node = Readonly<Record<string, unknown>>;

/** Words of the language that look like names. */
const words = new Set(["loop", "none", "None", "true", "True", "false", "False"]);

/** Where a node names a function of the language, an attribute or an argument instead of a value. */
const labels: Readonly<Record<string, string>> = {
  CallExpression: "callee",
  FilterExpression: "filter",
  KeywordArgumentExpression: "key",
  MemberExpression: "property",
  TestExpression: "test",
};

/** Parts that give a name a value. */
const binders = new Set(["args", "assignee", "loopvar", "name"]);

/** Names that a syntax tree reads and nowhere gives a value to. */
function namesIn(root: unknown): string[] {
  const read = new Set<string>();
  const bound = new Set(words);
  const visit = (node: unknown, into: Set<string>): void => {
    if (Array.isArray(node)) for (const part of node) visit(part, into);
    else if (typeof node === "object" && node !== null) visitNode(node as Node, into);
  };
  const visitNode = (node: Node, into: Set<string>): void => {
    const type = node.type as string;
    if (type === "Identifier") into.add(node.value as string);
    for (const [key, part] of Object.entries(node)) {
      const isLabel = labels[type] === key && !node.computed && (part as Node | null)?.type === "Identifier";
      const binds = binders.has(key) && ["For", "Macro", "Set"].includes(type);
      if (!isLabel || into === bound) visit(part, binds ? bound : into);
    }
  };
  visit(root, read);
  return [...read].filter((name) => !bound.has(name));
}
