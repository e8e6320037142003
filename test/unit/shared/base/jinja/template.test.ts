import { Template } from "../../../../../services/shared/base/jinja/template.js";
import { SpelledNumber } from "../../../../../services/shared/base/json.js";

const render = (source: string, values: Record<string, unknown> = {}) => new Template(source).render(values);

describe("Template()", () => {
  it.each<[string, RegExp]>([
    ["a\n{{ x", /TemplateSyntaxError: .*\(line 2\)/],
    ["{% for x in y %}\n", /Unexpected end of template.*endfor.*innermost block that needs to be closed is 'for'.*\(line 1\)/],
    ["\n\n{% nosuch %}", /Encountered unknown tag 'nosuch'.*\(line 3\)/],
    ["\n{{ x | nosuch }}", /TemplateAssertionError: No filter named 'nosuch'\. \(line 2\)/],
    ["{{ x is nosuch }}", /No test named 'nosuch'/],
    ["{% do x.append(1) %}", /unknown tag 'do'/],
    ["{{ '\\N{BULLET}' }}", /Unimplemented: a character by its name/],
  ])("says what is wrong with %j, and the line", (source, message) => {
    expect(() => new Template(source)).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, string[]]>([
    ["{{ a.b[c] | default(d) }}{% if e is defined %}{% endif %}", ["a", "c", "d", "e"]],
    ["{% if x is not defined %}{% set x = 1 %}{% endif %}{{ x }}", ["x"]],
    ["{% if y %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", ["y"]],
    ["{% if y %}{% set x = 1 %}{% endif %}{{ x }}", ["y", "x"]],
    ["{% for m in messages %}{{ loop.index }}{{ m }}{% set z = 1 %}{% endfor %}{{ z }}{{ range(3) }}", ["messages", "z"]],
    ["{% macro f(a, b=c) %}{{ a }}{{ caller() }}{{ varargs }}{% endmacro %}{{ f(d) }}", ["c", "d"]],
    ["{% with a = a %}{{ a }}{% endwith %}{% set ns = namespace(x=w) %}{% set ns.x = 1 %}", ["a", "w"]],
    ["{{ raise_exception('x') }}{{ strftime_now('%Y') }}{{ none }}", []],
  ])("knows what %j may read from outside", (source, names) => {
    expect(new Template(source).names).toEqual(names);
  });
});

describe("Template.render()", () => {
  it("takes JavaScript's values as Python's", () => {
    const values = {
      ints: [1, -0, 12n, new SpelledNumber("12345678901234567890"), 1e21],
      floats: [0.1, new SpelledNumber("1.0"), new SpelledNumber("1e2"), Number.NaN],
      nested: { "10": null, "2": [true, { é: "it's" }], gone: undefined },
    };
    expect(render("{{ ints }}|{{ floats }}|{{ nested }}", values)).toBe(
      `[1, -0.0, 12, 12345678901234567890, 1000000000000000000000]|[0.1, 1.0, 100.0, nan]|{'2': [True, {'é': "it's"}], '10': None}`,
    );
    expect(render("{{ a is none }}{{ b is defined }}{{ c is defined }}", { a: null, b: undefined })).toBe("TrueFalseFalse");
    expect(() => render("{{ a }}", { a: new Map() })).toThrow(/a is no value that a template can read/);
  });

  it("calls functions by place, and those of chat templates by name", () => {
    expect(render("{{ f(1, 'a', [2]) }}", { f: (...args: unknown[]) => JSON.stringify(args) })).toBe('[1,"a",[2]]');
    expect(render("{{ strftime_now(format='%Y') }}", { strftime_now: (format: unknown) => `now ${format}` })).toBe("now %Y");
    expect(() => render("{{ f(a=1) }}", { f: () => 1 })).toThrow(/unexpected keyword argument 'a'/);
    const fail = () => {
      throw new Error("no such city");
    };
    expect(() => render("\n{{ f() }}", { f: fail })).toThrow("TemplateError: no such city (line 2)");
  });

  it("knows the time, raise_exception and namespace by itself", () => {
    const template = new Template("{{ strftime_now('%d %b %Y') }}");
    expect(template.render({}, { now: new Date(2026, 10, 5) })).toBe("05 Nov 2026");
    expect(() => render("{% if true %}\n{{ raise_exception('no ' ~ 1.0) }}{% endif %}")).toThrow("TemplateError: no 1.0 (line 2)");
  });

  it.each<[string, RegExp]>([
    ["{{ x.z.y }}", /UndefinedError: 'dict object' has no attribute 'z'/],
    ["{{ missing + 1 }}", /UndefinedError: 'missing' is undefined \(line 1\)/],
    ["{{ [].append(1) }}", /SecurityError: access to attribute 'append' of 'list' object is unsafe/],
    ["{{ ''.__class__.__mro__ }}", /SecurityError/],
    ["{% include 'a' %}", /TypeError: no loader for this environment specified/],
    ["{{ dict }}", /Unimplemented: printing a function shows an address/],
    ["{{ 'a' | urlize }}", /Unimplemented: the filter urlize is not supported here/],
    ["{% autoescape true %}{% endautoescape %}", /Unimplemented: autoescape true/],
  ])("says why %j fails", (source, message) => {
    expect(() => render(source, { x: { y: "a" } })).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(message) }),
    );
  });

  it.each([
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{{ range(100000) | map('string') | list | length }}{% endfor %}",
    "{{ range(100001) }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 'a' * 60000000 }}{{ 'a' * 60000000 }}",
    "{{ 'a' * 10 ** 12 }}",
    "{{ 10 ** 10000000000 }}",
    "{{ 'a'.center(10 ** 12) }}",
    "{{ '%999999999d' % 1 }}",
  ])("ends %s", (source) => {
    expect(() => render(source)).toThrow(
      expect.objectContaining({
        code: "InvalidArgument",
        message: expect.stringMatching(/MemoryError|OverflowError|RecursionError|TimeoutError/),
      }),
    );
  });

  it("keeps JavaScript's own names from templates", () => {
    const source = "{{ x.constructor }}{{ x['__proto__'] }}{{ constructor }}{{ ''.constructor }}{{ [].length }}{{ toString }}{{ f.call }}";
    expect(render(source, { x: { a: 1 }, f: () => 1 })).toBe("");
    expect(render("{{ x }}", { x: JSON.parse('{"__proto__": 1, "constructor": 2}') })).toBe("{'__proto__': 1, 'constructor': 2}");
  });

  it("hides a value whose name the template sets later, as Jinja2's compiler does", () => {
    expect(render("{% macro m() %}{{ x }}{% endmacro %}[{{ m() }}]{% set x = 2 %}[{{ m() }}]", { x: 1 })).toBe("[][2]");
    expect(render("{% for i in [1] %}[{{ x }}]{% endfor %}{% set x = 2 %}", { x: 1 })).toBe("[]");
    expect(render("{% for i in [1] %}[{{ x }}]{% endfor %}{% if false %}{% set x = 2 %}{% endif %}", { x: 1 })).toBe("[1]");
    expect(render("{{ x }}{% for i in [1] %}[{{ x }}]{% endfor %}{% set x = 2 %}", { x: 1 })).toBe("1[1]");
  });

  it("renders again and again without a trace of the time before", () => {
    const template = new Template(
      "{% set ns = namespace(n=0) %}{% for m in xs %}{% set ns.n = ns.n + m %}{% endfor %}{{ ns.n }}{{ y }}{% set y = 1 %}",
    );
    expect([template.render({ xs: [1, 2] }), template.render({ xs: [3] })]).toEqual(["3", "3"]);
  });
});
