// What templates make of values: expected texts by transformers' own Jinja environment (jinja.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { strftime } from "../../services/shared/base/jinja/strftime.js";
import { Template } from "../../services/shared/base/jinja/template.js";
import { parseJson } from "../../services/shared/base/json.js";

interface Golden {
  readonly now: number;
  readonly context: Readonly<Record<string, unknown>>;
  readonly cases: readonly { readonly template: string; readonly text?: string; readonly raises?: string }[];
}

const golden = parseJson(readFileSync(join(process.cwd(), "test", "golden", "fixtures", "jinja", "golden.json"), "utf8")) as Golden;
const values = {
  ...golden.context,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  strftime_now: (format: string) => strftime(new Date(golden.now), format),
};

/** What is refused here and written by Jinja2. */
const refusals = /is not supported in templates here|cannot be printed/;

/** A template's text, or what it raises. */
function rendered(template: string): { text: string } | { raises: string } {
  try {
    return { text: new Template(template).render(values) };
  } catch (error) {
    return { raises: (error as Error).message };
  }
}

describe("a template", () => {
  it("is rendered as transformers renders it, raises where it raises, or is refused by name", () => {
    const wrong = golden.cases.flatMap(({ template, text, raises }) => {
      const found = rendered(template);
      const right = "text" in found ? found.text === text : raises !== undefined || refusals.test(found.raises);
      return right ? [] : [{ template, expected: text ?? `raises ${raises}`, found }];
    });
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(wrong).toHaveLength(0);
  });

  it("is seldom refused where transformers renders it", () => {
    const refused = golden.cases.filter(({ template, text }) => text !== undefined && "raises" in rendered(template));
    expect(refused.length).toBeLessThan(golden.cases.length / 100);
  });
});
