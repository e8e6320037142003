import { readFileSync } from "node:fs";
import { strftime } from "../../services/shared/base/jinja/strftime.js";
import { Template } from "../../services/shared/base/jinja/template.js";
import { parseJson } from "../../services/shared/base/json.js";

/** What Python made of a template: its text, or the class of its exception. */
interface Rendered {
  readonly text?: string;
  readonly error?: string;
}

function golden<T>(name: string): T {
  return parseJson(readFileSync(`test/golden/fixtures/jinja/${name}.json`, "utf8")) as T;
}

function outcome(render: () => string): Rendered {
  try {
    return { text: render() };
  } catch (error) {
    expect((error as { code?: unknown }).code).toBe("InvalidArgument");
    return { error: (error as Error).message };
  }
}

describe("Template against transformers", () => {
  const { context, rows } = golden<{ context: Record<string, unknown>; rows: (Rendered & { readonly template: string })[] }>("snippets");

  it("has the same text or an error for every snippet, but for what it refuses by name", () => {
    const refused: string[] = [];
    const wrong = rows.flatMap(({ template, ...python }) => {
      const ours = outcome(() => new Template(template).render(context));
      if (python.error === undefined && ours.error?.startsWith("Unimplemented: ")) refused.push(template);
      else if (ours.text !== python.text) return [{ template, python, ours }];
      return [];
    });
    expect(wrong).toEqual([]);
    // These print the blocks of the template, an address in memory on the way, what C's pow makes of a fraction, or a slice of what has none.
    expect(refused).toEqual([
      "{{ none[0:1] }}",
      "{{ not none[1:] }}|{{ ('a' | upper)[0:] }}",
      "{{ self }}",
      ...["(7) ** (-0.5)", "(2.5) ** (1e-5)", "(1e16) ** (2.5)", "(n) ** (1e-5)"].map((power) => `{{ ${power} }}`),
      ...["lower", "upper"].flatMap((test) => ["dict", "words|map('upper')"].map((value) => `{{ (${value}) is ${test} }}`)),
    ]);
  });

  it("has the same text or an error for syntax, methods, filters and values by tables", () => {
    type Tables = {
      now: [number, number, number, number, number, number];
      context: Record<string, unknown>;
      cases: { template: string; text?: string; raises?: string }[];
    };
    const { now, context, cases } = golden<Tables>("tables");
    const values = { ...context, strftime_now: (format: string) => strftime(new Date(...now), format) };
    const wrong = cases.flatMap(({ template, text, raises }) => {
      const ours = outcome(() => new Template(template).render(values));
      return ours.text === text && (ours.error !== undefined) === (raises !== undefined) ? [] : [{ template, text, raises, ours }];
    });
    expect(wrong).toEqual([]);
    expect(cases.length).toBeGreaterThan(2000);
  });

  it("makes the same texts of conversations by templates of the forms that public ones have", () => {
    const { forms, conversations, settings, rows } = golden<{
      forms: Record<string, string>;
      conversations: unknown[];
      settings: Record<string, unknown>[];
      rows: (Rendered & { readonly form: string; readonly conversation: number; readonly settings: number })[];
    }>("forms");
    const templates = new Map(Object.entries(forms).map(([form, source]) => [form, new Template(source)]));
    const wrong = rows.flatMap(({ form, conversation, settings: place, ...python }) => {
      const values = { ...settings[place], messages: conversations[conversation] };
      const ours = outcome(() => templates.get(form)!.render(values));
      return ours.text === python.text ? [] : [{ form, conversation, place, python, ours }];
    });
    expect(wrong).toEqual([]);
    expect(templates.size).toBeGreaterThanOrEqual(12);
  });
});

describe("strftime() against Python", () => {
  it("has the same text for every directive", () => {
    const { rows } = golden<{ rows: { moment: [number, number, number, number, number, number]; format: string; text: string }[] }>(
      "strftime",
    );
    const wrong = rows.filter(
      ({ moment: [year, month, ...rest], format, text }) => strftime(new Date(year, month - 1, ...rest), format) !== text,
    );
    expect(wrong).toEqual([]);
  });
});
