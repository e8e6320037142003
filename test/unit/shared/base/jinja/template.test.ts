import { Template } from "../../../../../services/shared/base/jinja/template.js";
import { parseJson } from "../../../../../services/shared/base/json.js";

const render = (source: string, values: Readonly<Record<string, unknown>> = {}) => new Template(source).render(values);

describe("a template", () => {
  it("knows ints from floats, and numbers by their spelling", () => {
    const values = parseJson('{"a": 1, "b": 1.0, "c": 0.10, "d": 12345678901234567890, "e": 1e3}') as Record<string, unknown>;
    expect(render("{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} {{ [a, b] }}", values)).toBe("1 1.0 0.1 12345678901234567890 1000.0 [1, 1.0]");
    expect(render("{{ a }} {{ b }}", { a: 3n, b: 2.5 })).toBe("3 2.5");
  });

  it("takes null for None and what is not given for undefined", () => {
    expect(render("{{ a }}|{{ a is none }}|{{ b }}|{{ b is defined }}|{{ c is defined }}", { a: null, c: undefined })).toBe(
      "None|True||False|False",
    );
  });

  it("calls functions with what they are given", () => {
    expect(render("{{ f('x', 2) }}", { f: (text: string, count: bigint) => text.repeat(Number(count)) })).toBe("xx");
  });

  it.each([
    ["{% if x %}", /Unexpected end of template.*'endif'.*innermost block that needs to be closed is 'if'\. \(line 1\)/],
    ["a\n\n{{ x | nosuch }}", /No filter named 'nosuch'\. \(line 3\)/],
    ["{{ x is nosuch }}", /No test named 'nosuch'/],
    ["a\n{% nosuch %}", /unknown tag 'nosuch'.*\(line 2\)/],
    ["{{ (1 }}", /expected/],
    ["{{ 'a }}", /unexpected char/],
  ])("says what its source lacks, and the line: %s", (source, message) => {
    expect(() => new Template(source)).toThrow(message);
  });

  it.each([
    ["{{ x.y }}", /'x' is undefined \(line 1\)/],
    ["\n{{ 1 + 'a' }}", /unsupported operand.*\(line 2\)/],
    ["{{ [1].append(2) }}", /access to attribute 'append' of 'list' object is unsafe/],
    ["{{ 'x' | random }}", /the filter random is not supported in templates here/],
    ["{{ range(1000000) }}", /Range too big/],
    ["{% set x = 'ab' * 40000000 %}{{ x }}", /too long/],
    ["{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", /turns/],
    ["{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", /nested too deeply/],
  ])("says why it cannot be rendered: %s", (source, message) => {
    expect(() => render(source)).toThrow(message);
  });

  it.each(["{{ d.constructor }}", "{{ d.__proto__ }}", "{{ s.length }}", "{{ l.length }}", "{{ l.map }}", "{{ d['toString'] }}"])(
    "reaches nothing of JavaScript: %s",
    (source) => {
      expect(render(source, { d: { a: 1 }, s: "x", l: [1] })).toBe("");
    },
  );

  it("keeps keys that JavaScript has names for", () => {
    const values = { d: JSON.parse('{"__proto__": 1, "constructor": 2}') as unknown };
    expect(render("{{ d }}|{{ d['__proto__'] }}|{{ d.constructor }}", values)).toBe("{'__proto__': 1, 'constructor': 2}|1|2");
  });

  it("knows the names that it reads and gives no value to, in their order", () => {
    const source =
      "{% set x = a %}{% for y in b %}{{ y }}{{ loop.index }}{{ x }}{{ range(3) }}{% endfor %}{% macro m(q) %}{{ q }}{{ caller }}{% endmacro %}{{ m(c) }}";
    expect(new Template(source).names).toEqual(["a", "b", "c"]);
  });
});
