import { parseTemplate } from "../../../../../services/shared/base/jinja/text-template.js";
import { SpelledNumber } from "../../../../../services/shared/base/json.js";

describe("parseTemplate()", () => {
  it("fills in texts as they are, whatever is in them", () => {
    expect(parseTemplate("{{ prompt }}: {{ completion }}").render({ prompt: "{{ x }}", completion: "<b>\n" })).toBe("{{ x }}: <b>\n");
  });

  it.each<[string, string[]]>([
    ["{{ prompt }}{{ completion }}", ["prompt", "completion"]],
    ["{{ completion | trim }}{% if reference is defined %}{{ reference.x }}{% endif %}", ["completion", "reference"]],
    ["{% for word in completion.split(' ') %}{{ loop.index }}{{ word }}{% endfor %}", ["completion"]],
    ["{% set answer = completion | upper %}{{ answer }}", ["completion"]],
    ["{{ completion | join(d=', ') }}{{ x if y is none else none }}", ["completion", "y", "x"]],
    ["{% macro f(x, z=1) %}{{ x }}{{ z }}{% endmacro %}{{ f(completion) }}", ["completion"]],
    ["{% for a, b in completion.items() %}{{ a }}{{ b }}{% endfor %}", ["completion"]],
    ["plain", []],
  ])("knows what %p reads", (source, names) => {
    expect(parseTemplate(source).names).toEqual(names);
  });

  it("takes what Parquet has: whole numbers as bigints, also inside of lists, and columns that it does not read", () => {
    const values = { n: 12n, list: [{ id: 3n }], unread: new Date() };
    expect(parseTemplate("{{ n }}/{{ list[0].id }}").render(values)).toBe("12/3");
  });

  it("writes numbers as they are spelt", () => {
    expect(parseTemplate("{{ n }}/{{ list[0] }}").render({ n: new SpelledNumber("0.10"), list: [new SpelledNumber("1.0")] })).toBe(
      "0.10/1.0",
    );
  });

  it("says what is wrong with a template", () => {
    expect(() => parseTemplate("{{ x | nosuch }}")).toThrow(/the template "\{\{ x \| nosuch \}\}" is no Jinja: .*No filter named 'nosuch'/);
    expect(() => parseTemplate("{{ x + 1 }}").render({ x: "a" })).toThrow(/the template "\{\{ x \+ 1 \}\}" cannot be filled in: /);
    expect(() => parseTemplate("{{ prompt")).toThrow(/the template "\{\{ prompt" is no Jinja: /);
  });
});
