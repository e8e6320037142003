import { RetortError } from "../../shared/base/errors.js";
import { parseTemplate, type TextTemplate } from "../../shared/base/jinja/text-template.js";
import { SpelledNumber } from "../../shared/base/json.js";
import { readObjects } from "../../shared/flow/prompts/dataset.js";
import { unreadableIn } from "../../shared/flow/prompts/rows/unreadable.js";

/** A text with the name of its class. */
export interface NamedText {
  readonly text: string;
  readonly label: string;
}

/** Where a row has its text and its class. */
export interface LabelledColumns {
  /** Column of the classes. */
  readonly label: string;
  /** Jinja over the columns; by default the column `text`, or premise and hypothesis one after the other. */
  readonly template: string | undefined;
}

/**
 * Reads texts with their classes from a dataset (JSON or Parquet).
 *
 * @throws NotFound if there is no such file; InvalidArgument naming file, row and column
 */
export async function readLabelledTexts(path: string, columns: LabelledColumns): Promise<NamedText[]> {
  const texts: NamedText[] = [];
  let template = columns.template === undefined ? undefined : parseTemplate(columns.template);
  for await (const { object, where } of readObjects(path)) {
    template ??= parseTemplate("text" in object || !("premise" in object) ? "{{ text }}" : "{{ premise }}{{ hypothesis }}");
    for (const name of [...template.names, columns.label]) checkValue(object, name, where, columns.label);
    const label = object[columns.label];
    if (!["string", "number", "bigint", "boolean"].includes(typeof label) && !(label instanceof SpelledNumber))
      throw new RetortError(
        "InvalidArgument",
        `${where}: column "${columns.label}" is ${JSON.stringify(label)}; the name or number of a class is expected there`,
      );
    texts.push({ text: render(template, object, where), label: String(label) });
  }
  if (texts.length === 0) throw new RetortError("InvalidArgument", `${path} has no rows; a classifier learns from labelled texts`);
  return texts;
}

function render(template: TextTemplate, object: Readonly<Record<string, unknown>>, where: string): string {
  const text = template.render(object);
  if (text === "") throw new RetortError("InvalidArgument", `${where}: the text is empty; every row needs one`);
  return text;
}

function checkValue(object: Readonly<Record<string, unknown>>, name: string, where: string, label: string): void {
  if (object[name] === undefined || object[name] === null) throw lacks(where, name, object, label);
  const odd = unreadableIn(object[name]);
  if (odd) throw new RetortError("InvalidArgument", `${where}: column "${name}" is or has ${odd.what}; write it as text`);
}

function lacks(where: string, name: string, object: Readonly<Record<string, unknown>>, label: string): RetortError {
  const out = name === label ? "name the classes' column with --label-column" : "name the texts' columns with --template '{{ column }}'";
  return new RetortError("InvalidArgument", `${where} has no "${name}"; it has: ${Object.keys(object).join(", ")}; ${out}`);
}

/**
 * The classes there are: those given, or those of the texts, numbers in order of size and names in order of letters.
 *
 * @throws InvalidArgument if a text is of none of them, or there are fewer than two
 */
export function classesOf(texts: readonly NamedText[], given: readonly string[] | undefined): string[] {
  const found = [...new Set(texts.map(({ label }) => label))];
  const stray = given && found.find((label) => !given.includes(label));
  if (given && stray !== undefined)
    throw new RetortError("InvalidArgument", `the data has the class "${stray}", and --labels are ${given.join(", ")}`);
  const numbers = found.every((label) => label.trim() !== "" && Number.isFinite(Number(label)));
  const classes = given ? [...given] : found.sort(numbers ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en"));
  if (classes.length >= 2) return classes;
  throw new RetortError("InvalidArgument", `the data has one class, "${found[0]}"; a classifier needs at least two to tell apart`);
}
