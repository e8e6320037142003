import { RetortError } from "../errors.js";
import { SpelledNumber } from "../json.js";
import { Template } from "./template.js";

/** A text with places to fill in, in Jinja (the language of chat templates): "{{ prompt }}{{ completion }}". */
export interface TextTemplate {
  /** Names that the template reads. */
  readonly names: readonly string[];
  /** @throws InvalidArgument with the template's reason, for a value that it cannot use */
  render(values: Readonly<Record<string, unknown>>): string;
}

/** @throws InvalidArgument with what the template's syntax lacks, or a filter that does not exist */
export function parseTemplate(source: string): TextTemplate {
  const refused = (what: string, error: unknown) =>
    new RetortError("InvalidArgument", `the template ${JSON.stringify(source)} ${what}: ${(error as Error).message}`, { cause: error });
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw refused("is no Jinja", error);
  }
  const { names } = template;
  return {
    names,
    render: (values) => {
      try {
        return template.render(Object.fromEntries(names.map((name) => [name, asSpelled(values[name])])));
      } catch (error) {
        throw refused("cannot be filled in", error);
      }
    },
  };
}

/** Numbers that JavaScript would spell otherwise become their text, as columns of texts have them. */
function asSpelled(value: unknown): unknown {
  if (value instanceof SpelledNumber) return value.text;
  if (Array.isArray(value)) return value.map(asSpelled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, asSpelled(part)]));
}
