import { parseTemplate } from "../../../../../services/shared/flow/prompts/text-template.js";

describe("parseTemplate()", () => {
  it("fills in texts as they are, whatever is in them", () => {
    expect(parseTemplate("{{ prompt }}: {{ completion }}").render({ prompt: "{{ x }}", completion: "<b>\n" })).toBe("{{ x }}: <b>\n");
  });

  it.each<[string, string[]]>([
    ["{{ prompt }}{{ completion }}", ["prompt", "completion"]],
    ["{{ completion | trim }}{% if reference is defined %}{{ reference.x }}{% endif %}", ["completion", "reference"]],
    ["{% for word in completion.split(' ') %}{{ loop.index }}{{ word }}{% endfor %}", ["completion"]],
    ["{% set answer = completion | upper %}{{ answer }}", ["completion"]],
    ["plain", []],
  ])("knows what %p reads", (source, names) => {
    expect(parseTemplate(source).names).toEqual(names);
  });

  it("says what is wrong with a template", () => {
    expect(() => parseTemplate("{{ prompt")).toThrow(/the template "\{\{ prompt" is no Jinja: /);
  });
});
